"""Derives the key of the cache's MACs, which is used for nothing else."""

import hmac
from functools import lru_cache

from django.conf import settings


@lru_cache(maxsize=1)
def secret() -> bytes:
    """32 bytes, derived from KEY_PEPPER."""
    return hmac.digest(settings.KEY_PEPPER.encode(), b"response cache", "sha256")
