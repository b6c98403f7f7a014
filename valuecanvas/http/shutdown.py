"""Graceful shutdown: after SIGTERM a short grace period, then time for open streams.

uvicorn's handler stops listening at once, while a load balancer still sends requests. So
ours runs first: readiness fails, and after the grace period uvicorn's handler is called.
It works the same with `uvicorn --workers`.
"""

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

import structlog
from django.conf import settings

log = structlog.get_logger("shutdown")
SIGNALS = (signal.SIGTERM, signal.SIGINT)

Handler = Callable[[int, FrameType | None], object]


class Shutdown:
    """Handles signals before the server does. Install it once the server runs."""

    def __init__(self, end_streams: Callable[[], int]) -> None:
        self._end_streams = end_streams
        self._before: dict[int, Handler] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.draining = False

    def install(self) -> None:
        """Take over the signals. Does nothing outside of the main thread."""
        self._loop = asyncio.get_running_loop()
        for number in SIGNALS:
            before = signal.getsignal(number)
            if not callable(before):
                continue
            try:
                signal.signal(number, self._handle_signal)
            except ValueError:
                # Not the main thread: the caller handles the signals.
                return
            self._before[number] = before

    def _handle_signal(self, number: int, frame: FrameType | None) -> None:
        before, loop = self._before[number], self._loop
        if self.draining or number == signal.SIGINT or loop is None:
            # A second signal, or Ctrl-C: stop at once.
            before(number, frame)
            return
        self.draining = True
        loop.call_soon_threadsafe(self._drain, before, number)

    def _drain(self, before: Handler, number: int) -> None:
        grace_s = settings.SHUTDOWN_GRACE_S
        log.info("shutdown.draining", grace_s=grace_s)
        loop = asyncio.get_running_loop()
        loop.call_later(grace_s, before, number, None)
        # Streams that are still open then are ended with an error event.
        loop.call_later(grace_s + settings.SHUTDOWN_STREAMS_S, self._end)

    def _end(self) -> None:
        log.info("shutdown.streams_ended", count=self._end_streams())
