"""A time limit for a remote answer that does not take a busy event loop for a slow peer."""

import asyncio
import time
from types import TracebackType
from typing import Self

# A timer that fires later than this, in seconds, shows that the loop was busy.
BUSY_S = 0.005
# A loop that stays busy extends the limit to this many times itself.
MOST_TIMES = 5


class LoopTimeout:
    """As asyncio.timeout, but while the loop is late the answer may wait unread in its socket.

    Then there is more time, as much as the loop was late, so that it can be read.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._last_due = time.monotonic() + MOST_TIMES * self._seconds
        self._wait(self._seconds)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def _wait(self, seconds: float) -> None:
        # Not the loop's own clock, which uvloop reads once a turn.
        self._due = time.monotonic() + seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._check)

    def _check(self) -> None:
        now = time.monotonic()
        late = now - self._due
        if late < BUSY_S or now >= self._last_due:
            # In the past: at once.
            self._limit.reschedule(0.0)
        else:
            self._wait(min(late, self._seconds))
