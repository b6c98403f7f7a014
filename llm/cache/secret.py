"""Derives the keys of the cache, which are used for nothing else."""

import hmac
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings


@lru_cache(maxsize=1)
def secret() -> bytes:
    """32 bytes, derived from KEY_PEPPER."""
    return hmac.digest(settings.KEY_PEPPER.encode(), b"response cache", "sha256")


def answer_cipher(tenant: str, key: str) -> AESGCM:
    """The cipher of the answers in one place: no two places share a key, so that no key
    meets as many random nonces as would make one of them come twice.
    """
    place = f"answer\0{tenant}\0{key}".encode()
    return AESGCM(hmac.digest(secret(), place, "sha256"))
