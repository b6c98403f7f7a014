"""Addresses that send wrong API keys again and again.

One wrong key, sent again and again, is one mistake: it shuts itself out, and no other
key. Many different ones are somebody who tries keys: then only keys that this process
has in memory are let through, and nothing is looked up for others.
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
    """One per process; what it counts is shared through the limiter."""

    def __init__(self, limiter: Limiter, callers: Callers) -> None:
        self._limiter = limiter
        self._callers = callers
        # 'address' or 'address:prefix' -> until when, monotonic.
        self._shut: Lru[str, float] = Lru(MOST)
        self._last = 0.0

    def refuse(self, scope: Mapping[str, Any]) -> None:
        """Raises TooManyRequests, before anything is looked up."""
        if time.monotonic() >= self._last:
            return  # nobody is shut out
        if (found := _who(scope)) is None:
            return
        where, prefix = found
        wait = self._left(f"{where}:{prefix}")
        if wait <= 0 and not self._callers.knows(prefix):
            wait = self._left(where)
        if wait > 0:
            raise TooManyRequests(
                "Too many wrong API keys came from your address. "
                f"Try again in {math.ceil(wait)} s.",
                code="too_many_failures",
                headers={"Retry-After": str(math.ceil(wait))},
            )

    async def note(self, scope: Mapping[str, Any]) -> None:
        """This request was answered with 401."""
        if not settings.AUTH_FAILURES_PER_MINUTE:
            return
        if (found := _who(scope)) is None:
            return
        where, prefix = found
        if await self._count(f"{where}:{prefix}"):
            await self._count(where)

    async def _count(self, name: str) -> bool:
        """One more of `name`; whether it is the first one within a minute."""
        most = settings.AUTH_FAILURES_PER_MINUTE
        taken = await self._limiter.take(
            [Subject(f"s:{name}", MinuteLimits(requests=most))],
            request_id=str(uuid7()),
            tokens=0,
            lease_s=0,
        )
        if isinstance(taken, LimitRefused):
            self._close(name, taken.retry_after_s or 1.0)
            return False
        [hold] = taken.holds
        if hold.requests == 0:
            self._close(name, hold.more_ms / 1000)
        return hold.requests == most - 1

    def _close(self, name: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._shut.put(name, until)
        self._last = max(self._last, until)

    def _left(self, name: str) -> float:
        return (self._shut.get(name) or 0.0) - time.monotonic()


def _who(scope: Mapping[str, Any]) -> tuple[str, str] | None:
    """The address and the key's prefix; None: it is no key's text, so costs no look."""
    sent = _headers(scope["headers"])
    bearer = sent.get(_BEARER) or f"Bearer {sent.get(_API_KEY, '')}"
    try:
        prefix = key_check.prefix(key_check.bearer(bearer))
    except NotAuthenticated:
        return None
    peer = (scope.get("client") or ("",))[0]
    return address.client_address(peer, sent.get(_FORWARDED, "")), prefix


def _headers(rows: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    """The last of each: of X-Forwarded-For the one that the proxy wrote."""
    wanted = (_BEARER, _API_KEY, _FORWARDED)
    return {name: value.decode("latin-1") for name, value in rows if name in wanted}
