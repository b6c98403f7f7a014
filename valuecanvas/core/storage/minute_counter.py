"""Counters per clock minute, shared by all processes through Django's cache.

For the cold path. While Redis is down nothing is counted and nobody is refused: these
counters protect the machine, not money.
"""

import time
from functools import cache as once

from django.core.cache import cache

MINUTE_S = 60
# After a failure Redis is not used for this long: else each request would wait for it.
BYPASS_S = 5.0
SLOW_S = 0.5


class Minutes:
    """One per process. The cache hides errors of Redis; they show as None."""

    def __init__(self) -> None:
        self._bypassed_until = 0.0

    def count(self, name: str) -> int:
        """Count one more of `name` in this minute. Returns the new count; 0: unknown."""
        if self._bypassed:
            return 0
        asked_at, key = time.monotonic(), _key(name)
        # Longer than the minute in which it is used.
        added = cache.add(key, 0, timeout=2 * MINUTE_S)
        found: int | None = None
        if added is not None:
            try:
                found = cache.incr(key)
            except ValueError:
                # Redis was emptied in between.
                found = 0
        self._check_health(asked_at, lost=found is None)
        return found or 0

    def read(self, *names: str) -> list[int]:
        """The count of each name in this minute."""
        if self._bypassed:
            return [0] * len(names)
        asked_at, keys = time.monotonic(), [_key(name) for name in names]
        found = cache.get_many(keys)
        self._check_health(asked_at, lost=found is None)
        return [int((found or {}).get(key, 0)) for key in keys]

    @property
    def _bypassed(self) -> bool:
        return time.monotonic() < self._bypassed_until

    def _check_health(self, asked_at: float, *, lost: bool) -> None:
        now = time.monotonic()
        if lost or now - asked_at > SLOW_S:
            self._bypassed_until = now + BYPASS_S


@once
def minutes() -> Minutes:
    """The counters of this process."""
    return Minutes()


def seconds_to_next_minute() -> int:
    """Seconds until the next minute, at least 1."""
    return MINUTE_S - int(time.time()) % MINUTE_S


def _key(name: str) -> str:
    return f"minutes:{int(time.time()) // MINUTE_S}:{name}"
