"""Sealing of secrets at rest: AES-256-GCM under FIELD_KEY."""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

_NONCE = 12


class UnreadableSecret(Exception):
    """The sealed value was changed, moved to another owner, or the key is another."""


def _cipher() -> AESGCM:
    return AESGCM(base64.b64decode(settings.FIELD_KEY))  # checked by the settings


def seal(secret: str, owner: str) -> bytes:
    """Encrypt `secret` so that only `owner` (a stable name) can unseal it."""
    nonce = os.urandom(_NONCE)
    return nonce + _cipher().encrypt(nonce, secret.encode(), owner.encode())


def unseal(sealed: bytes, owner: str) -> str:
    """Decrypt what `seal` made. Raises Unreadable."""
    try:
        plain = _cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], owner.encode())
    except InvalidTag as error:
        raise UnreadableSecret(owner) from error
    return plain.decode()
