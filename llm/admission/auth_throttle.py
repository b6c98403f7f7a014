"""Throttles addresses that send wrong API keys again and again.

One wrong key, sent again and again, is a mistake: only that key is blocked. Many
different ones are an attack: then only keys that this process has in memory pass, and
nothing is looked up for others.
"""

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings

from billing.auth import key_check
from billing.auth.callers import Callers
from billing.minute_limits import MinuteLimits
from llm.limits.limiter import Limiter
from llm.limits.types import LimitRefused, Subject
from valuecanvas.core.access import address
from valuecanvas.core.errors import NotAuthenticated, TooManyRequests
from valuecanvas.core.ids import uuid7
from valuecanvas.core.storage.lru import Lru

MOST = 10_000
_BEARER = b"authorization"
# OFREP's other way to send a key.
_API_KEY = b"x-api-key"
_FORWARDED = b"x-forwarded-for"


class AuthThrottle:
    """Counts wrong keys by address. One per process; the limiter shares the counts."""

    def __init__(self, limiter: Limiter, callers: Callers) -> None:
        self._limiter = limiter
        self._callers = callers
        # 'address' or 'address:prefix' -> until when, monotonic.
        self._blocked: Lru[str, float] = Lru(MOST)
        self._blocked_until = 0.0

    def refuse(self, scope: Mapping[str, Any]) -> None:
        """Raises TooManyRequests, before anything is looked up."""
        if time.monotonic() >= self._blocked_until:
            return  # nothing is blocked
        if (found := _origin(scope)) is None:
            return
        source, prefix = found
        wait = self._wait_s(f"{source}:{prefix}")
        if wait <= 0 and not self._callers.has_cached(prefix):
            wait = self._wait_s(source)
        if wait > 0:
            raise TooManyRequests(
                "Too many wrong API keys came from your address. "
                f"Try again in {math.ceil(wait)} s.",
                code="too_many_failures",
                headers={"Retry-After": str(math.ceil(wait))},
            )

    async def note(self, scope: Mapping[str, Any]) -> None:
        """Count a request that was answered with 401."""
        if not settings.AUTH_FAILURES_PER_MINUTE:
            return
        if (found := _origin(scope)) is None:
            return
        source, prefix = found
        if await self._count(f"{source}:{prefix}"):
            await self._count(source)

    async def _count(self, name: str) -> bool:
        """Count `name` once; whether that is the first time within a minute."""
        most = settings.AUTH_FAILURES_PER_MINUTE
        taken = await self._limiter.take(
            [Subject(f"s:{name}", MinuteLimits(requests=most))],
            request_id=str(uuid7()),
            tokens=0,
            lease_s=0,
        )
        if isinstance(taken, LimitRefused):
            self._block(name, taken.retry_after_s or 1.0)
            return False
        [hold] = taken.holds
        if hold.requests == 0:
            self._block(name, hold.more_ms / 1000)
        return hold.requests == most - 1

    def _block(self, name: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._blocked.put(name, until)
        self._blocked_until = max(self._blocked_until, until)

    def _wait_s(self, name: str) -> float:
        return (self._blocked.get(name) or 0.0) - time.monotonic()


def _origin(scope: Mapping[str, Any]) -> tuple[str, str] | None:
    """The address and the key's prefix; None if the key cannot be one of ours."""
    sent = _headers(scope["headers"])
    try:
        prefix = key_check.prefix(key_check.bearer(_authorization(sent)))
    except NotAuthenticated:
        return None
    peer = (scope.get("client") or ("",))[0]
    return address.client_address(peer, sent.get(_FORWARDED, "")), prefix


def authorization(scope: Mapping[str, Any]) -> str:
    """The header Authorization, or the same made of `x-api-key`."""
    return _authorization(_headers(scope["headers"]))


def _authorization(sent: Mapping[bytes, str]) -> str:
    return sent.get(_BEARER) or f"Bearer {sent.get(_API_KEY, '')}"


def _headers(rows: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """The last header of each name: the proxy wrote the last X-Forwarded-For."""
    wanted = (_BEARER, _API_KEY, _FORWARDED)
    return {name: value.decode("latin-1") for name, value in rows if name in wanted}
