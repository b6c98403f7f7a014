"""Sealing of secrets at rest: AES-256-GCM under FIELD_KEY."""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_NONCE = 12


class Unreadable(Exception):
    """The sealed value was changed, moved to another owner, or the key is another."""


def _cipher() -> AESGCM:
    try:
        key = base64.b64decode(settings.FIELD_KEY, validate=True)
    except binascii.Error as error:
        raise ImproperlyConfigured("FIELD_KEY must be base64.") from error
    if len(key) != 32:
        raise ImproperlyConfigured("FIELD_KEY must hold 32 bytes in base64.")
    return AESGCM(key)


def seal(secret: str, owner: str) -> bytes:
    """Encrypt `secret` so that only `owner` (a stable name) can unseal it."""
    nonce = os.urandom(_NONCE)
    return nonce + _cipher().encrypt(nonce, secret.encode(), owner.encode())


def unseal(sealed: bytes, owner: str) -> str:
    """Decrypt what `seal` made. Raises Unreadable."""
    try:
        plain = _cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], owner.encode())
    except InvalidTag as error:
        raise Unreadable(owner) from error
    return plain.decode()
