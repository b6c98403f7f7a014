"""Write timeout: gives up on clients that do not read their answer."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from valuecanvas.core.wait_timer import NEVER, WaitTimer

Send = Callable[[dict[str, Any]], Awaitable[None]]


class TimedSender(WaitTimer):
    """Sends the messages of one answer with a timeout for each.

    Servers accept a message at once unless the client reads slowly. So one timer for
    all messages of an answer is enough.
    """

    def __init__(self, send: Send, most_s: float, on_late: Callable[[], None]) -> None:
        """`on_late` is called if a message waits for `most_s` or past `deadline`."""
        self._send = send
        self._most_s = most_s
        self._on_late = on_late
        # By the monotonic clock.
        self.deadline = NEVER

    async def send(self, message: dict[str, Any]) -> None:
        """Pass `message` to the server; waits until the server accepts it."""
        # Called for each chunk of a stream: optimized for speed.
        due, deadline = time.monotonic() + self._most_s, self.deadline
        self._due = deadline if deadline < due else due
        if self._timer is None:
            self._start_timer()
        try:
            await self._send(message)
        finally:
            self._due = NEVER

    def close(self) -> None:
        """Stop the timer: no more messages follow."""
        self._stop_timer()
        self._due = NEVER

    def _handle_late(self) -> None:
        self._on_late()


def cut(send: Send) -> bool:
    """Abort the connection behind `send`, with its unread data; False: there is none.

    A server closes a connection only after all was read. uvicorn's `send` has the
    transport.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        return False
    transport.abort()
    return True
