"""Encrypts stored secrets: AES-256-GCM with FIELD_KEY."""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

_NONCE = 12


class UnreadableSecret(Exception):
    """The value was changed, belongs to another owner, or FIELD_KEY has changed."""


def _cipher() -> AESGCM:
    return AESGCM(base64.b64decode(settings.FIELD_KEY))  # checked by the settings


def seal(secret: str, owner: str) -> bytes:
    """Encrypt `secret` so that only `owner` (a stable name) can unseal it."""
    nonce = os.urandom(_NONCE)
    return nonce + _cipher().encrypt(nonce, secret.encode(), owner.encode())


def unseal(sealed: bytes, owner: str) -> str:
    """Decrypt what `seal` made. Raises UnreadableSecret."""
    try:
        plain = _cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], owner.encode())
    except InvalidTag as error:
        raise UnreadableSecret(owner) from error
    return plain.decode()
