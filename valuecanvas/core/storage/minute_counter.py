"""Counts in minutes of the clock, shared by all processes through Django's cache.

For the cold path. While Redis is away nothing is counted and nobody is refused: it
guards the machine, not money.
"""

import time
from functools import cache as once

from django.core.cache import cache

MINUTE_S = 60
# After a failure Redis is not asked for this long, or each request would wait for it.
PASS_BY_S = 5.0
SLOW_S = 0.5


class Minutes:
    """One per process. What the cache swallows, we see as None."""

    def __init__(self) -> None:
        self._away_until = 0.0

    def count(self, name: str) -> int:
        """One more of `name` in this minute; how many that makes, 0: unknown."""
        if self._passed_by:
            return 0
        asked_at, key = time.monotonic(), _key(name)
        # Longer than the minute: then it is not asked for again.
        added = cache.add(key, 0, timeout=2 * MINUTE_S)
        found: int | None = None
        if added is not None:
            try:
                found = cache.incr(key)
            except ValueError:
                # Redis was emptied in between.
                found = 0
        self._look(asked_at, lost=found is None)
        return found or 0

    def used(self, *names: str) -> list[int]:
        """How many of each there were in this minute."""
        if self._passed_by:
            return [0] * len(names)
        asked_at, keys = time.monotonic(), [_key(name) for name in names]
        found = cache.get_many(keys)
        self._look(asked_at, lost=found is None)
        return [int((found or {}).get(key, 0)) for key in keys]

    @property
    def _passed_by(self) -> bool:
        return time.monotonic() < self._away_until

    def _look(self, asked_at: float, *, lost: bool) -> None:
        now = time.monotonic()
        if lost or now - asked_at > SLOW_S:
            self._away_until = now + PASS_BY_S


@once
def minutes() -> Minutes:
    """This process's."""
    return Minutes()


def left_s() -> int:
    """Seconds until the next minute, at least 1."""
    return MINUTE_S - int(time.time()) % MINUTE_S


def _key(name: str) -> str:
    return f"minutes:{int(time.time()) // MINUTE_S}:{name}"
