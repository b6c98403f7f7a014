"""Encrypts stored secrets: AES-256-GCM with FIELD_KEY.

A sealed value begins with the id of its key, so that keys can be rotated: values sealed
with one of FIELD_KEY_PREVIOUS stay readable, and `manage.py rotate_field_keys` seals
them again. Values of before that have no id; every key is tried on them.
"""

import base64
import hashlib
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

HEADER = 5
_FORMAT = b"\x01"
_NONCE = 12


class UnreadableSecret(Exception):
    """The value was changed, belongs to another owner, or FIELD_KEY has changed."""


@lru_cache(maxsize=16)
def _cipher(key: str) -> tuple[bytes, AESGCM]:
    """A key's header and its cipher."""
    raw = base64.b64decode(key)  # checked by the settings
    return _FORMAT + hashlib.sha256(b"field key" + raw).digest()[: HEADER - 1], AESGCM(
        raw
    )


def present_header() -> bytes:
    """How values begin that are sealed with the present FIELD_KEY."""
    return _cipher(settings.FIELD_KEY)[0]


def seal(secret: str, owner: str) -> bytes:
    """Encrypt `secret` so that only `owner` (a stable name) can unseal it."""
    return seal_bytes(secret.encode(), owner)


def unseal(sealed: bytes, owner: str) -> str:
    """Decrypt what `seal` made. Raises UnreadableSecret."""
    return unseal_bytes(sealed, owner).decode()


def seal_bytes(plain: bytes, owner: str) -> bytes:
    """The same as `seal` for bytes."""
    header, cipher = _cipher(settings.FIELD_KEY)
    nonce = os.urandom(_NONCE)
    return header + nonce + cipher.encrypt(nonce, plain, owner.encode())


def unseal_bytes(sealed: bytes, owner: str) -> bytes:
    """Decrypt what `seal_bytes` made. Raises UnreadableSecret."""
    ciphers = [
        _cipher(key) for key in (settings.FIELD_KEY, *settings.FIELD_KEY_PREVIOUS)
    ]
    for header, cipher in ciphers:
        if sealed.startswith(header):
            plain = _decrypt(cipher, sealed[HEADER:], owner)
            if plain is not None:
                return plain
    for _, cipher in ciphers:
        plain = _decrypt(cipher, sealed, owner)
        if plain is not None:
            return plain
    raise UnreadableSecret(owner)


def _decrypt(cipher: AESGCM, sealed: bytes, owner: str) -> bytes | None:
    try:
        return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], owner.encode())
    except (InvalidTag, ValueError):
        return None
