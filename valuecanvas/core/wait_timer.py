"""One timer for all the waits of an object, for waits too many to have one each."""

import asyncio
import math
import time

NEVER = math.inf


class WaitTimer:
    """Set `_due` to when the current wait is too long, NEVER: there is no wait.

    The timer is seldom moved: when it fires, it looks at the wait of that moment.
    """

    # By the monotonic clock.
    _due = NEVER
    _timer: asyncio.TimerHandle | None = None

    def _handle_late(self) -> None:
        """The current wait is too long."""
        raise NotImplementedError

    def _start_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._due - time.monotonic(), self._check_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            # Breaks a reference cycle.
            self._timer = None

    def _check_timer(self) -> None:
        self._timer = None
        if self._due <= time.monotonic():
            self._handle_late()
        elif self._due != NEVER:
            self._start_timer()
