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
    return seal_bytes(secret.encode(), owner)


def unseal(sealed: bytes, owner: str) -> str:
    """Decrypt what `seal` made. Raises UnreadableSecret."""
    return unseal_bytes(sealed, owner).decode()


def seal_bytes(plain: bytes, owner: str) -> bytes:
    """The same as `seal` for bytes."""
    nonce = os.urandom(_NONCE)
    return nonce + _cipher().encrypt(nonce, plain, owner.encode())


def unseal_bytes(sealed: bytes, owner: str) -> bytes:
    """Decrypt what `seal_bytes` made. Raises UnreadableSecret."""
    try:
        return _cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], owner.encode())
    except InvalidTag as error:
        raise UnreadableSecret(owner) from error
