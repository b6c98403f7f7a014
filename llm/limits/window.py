"""Minute limits on local state: the same logic as script.lua, tested with it."""

import time
from dataclasses import dataclass, field

from billing.minute_limits import MinuteLimits
from valuecanvas.core.storage.lru import Lru

# A minute is counted in buckets of 2 seconds, the newest one under way and 30 before it.
# A bucket leaves as a whole, so no 60 seconds ever see more than the limit, a request
# counts for 62 at most, and how long to wait is known exactly. (Two weighted buckets
# would let twice the limit through around the boundary.)
BUCKET_MS = 2000
BUCKETS = 31
# The wait for a free slot: it is unknown when a request will end.
BUSY_MS = 1000
SUBJECTS_MAX = 20_000

Reply = tuple[int, ...]


@dataclass(slots=True)
class MinuteWindow:
    """One subject. `now` is milliseconds of any clock; replies as those of script.lua."""

    # Number of a bucket -> [requests, tokens].
    buckets: dict[int, list[int]] = field(default_factory=dict)
    # Request under way -> end of its lease.
    held: dict[str, int] = field(default_factory=dict)

    def take(
        self, now: int, limits: MinuteLimits, request: str, tokens: int, lease_ms: int
    ) -> Reply:
        """Count a request, or return what refuses it."""
        windowed = limits.requests is not None or limits.tokens is not None
        if windowed:
            self._forget(now)
            refused = self._full(now, limits, tokens)
            if refused:
                return refused
        left_held = -1
        if limits.concurrent is not None:
            self.held = {one: end for one, end in self.held.items() if end > now}
            left_held = limits.concurrent - len(self.held) - 1
            if left_held < 0:
                return 3, 0, BUSY_MS
            self.held[request] = now + lease_ms
        if not windowed:
            return 0, 0, -1, -1, left_held, 0, 0
        return self._count(now, limits, tokens, left_held)

    def give(
        self, now: int, request: str, slot: int, requests: int, tokens: int
    ) -> None:
        """Correct what was counted in bucket `slot` (0: nothing), and end the lease."""
        if slot > 0 and _live(slot, now):
            bucket = self.buckets.setdefault(slot, [0, 0])
            bucket[0] = max(0, bucket[0] + requests)
            bucket[1] = max(0, bucket[1] + tokens)
        self.held.pop(request, None)

    def _forget(self, now: int) -> None:
        for slot in [slot for slot in self.buckets if not _live(slot, now)]:
            del self.buckets[slot]

    def _full(self, now: int, limits: MinuteLimits, tokens: int) -> Reply | None:
        """The limit that refuses one more request for longest."""
        used = self._used()
        waits = [0, 0]
        mosts = limits.requests, limits.tokens
        for part, (most, more) in enumerate(zip(mosts, (1, tokens), strict=True)):
            if most is not None and used[part] + more > most:
                waits[part] = self._wait(now, used[part] + more - most, part)
        if not any(waits):
            return None
        part = 0 if waits[0] >= waits[1] else 1
        return part + 1, max(0, (mosts[part] or 0) - used[part]), waits[part]

    def _wait(self, now: int, over: int, part: int) -> int:
        """Milliseconds until buckets with `over` in total have expired."""
        gone = 0
        for slot in sorted(self.buckets):
            gone += self.buckets[slot][part]
            if gone >= over:
                return _ends(slot, now)
        return _ends(now // BUCKET_MS, now)

    def _count(
        self, now: int, limits: MinuteLimits, tokens: int, left_held: int
    ) -> Reply:
        newest = now // BUCKET_MS
        bucket = self.buckets.setdefault(newest, [0, 0])
        bucket[0] += 1
        bucket[1] += tokens
        used = self._used()
        return (
            0,
            newest,
            -1 if limits.requests is None else limits.requests - used[0],
            -1 if limits.tokens is None else limits.tokens - used[1],
            left_held,
            _ends(min(self.buckets), now),
            _ends(newest, now),
        )

    def _used(self) -> tuple[int, int]:
        counts = self.buckets.values()
        return sum(one[0] for one in counts), sum(one[1] for one in counts)


class Windows:
    """The windows of the subjects that this process counts alone."""

    def __init__(self) -> None:
        self._windows: Lru[str, MinuteWindow] = Lru(SUBJECTS_MAX)

    def get(self, name: str) -> MinuteWindow:
        found = self._windows.get(name)
        if found is None:
            found = MinuteWindow()
            self._windows.put(name, found)
        return found


def now_ms() -> int:
    return int(time.monotonic() * 1000)


def _live(slot: int, now: int) -> bool:
    # A bucket far ahead is from before the clock was set back.
    return abs(slot - now // BUCKET_MS) < BUCKETS


def _ends(slot: int, now: int) -> int:
    return (slot + BUCKETS) * BUCKET_MS - now
