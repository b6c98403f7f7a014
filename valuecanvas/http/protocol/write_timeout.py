"""How long a client may leave unread what it is sent."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

Send = Callable[[dict[str, Any]], Awaitable[None]]

_NEVER = math.inf


class Patience:
    """Sends the messages of one answer, and gives up on a client that does not read.

    Servers take a message at once unless the client is behind with reading. So one
    timer looks after all messages of an answer, and it is seldom moved.
    """

    def __init__(self, send: Send, most_s: float, lost: Callable[[], None]) -> None:
        """`lost` is called where a message has waited for `most_s` or past `deadline`."""
        self._send = send
        self._most_s = most_s
        self._lost = lost
        # By the monotonic clock.
        self.deadline = _NEVER
        self._due = _NEVER
        self._timer: asyncio.TimerHandle | None = None

    async def send(self, message: dict[str, Any]) -> None:
        """Give `message` to the server, once it takes it."""
        # A stream has many: this is written for speed.
        due, deadline = time.monotonic() + self._most_s, self.deadline
        self._due = deadline if deadline < due else due
        if self._timer is None:
            self._look_again()
        try:
            await self._send(message)
        finally:
            self._due = _NEVER

    def close(self) -> None:
        """No message is being sent any more."""
        if self._timer is not None:
            self._timer.cancel()
        # Else it would be held by what it holds.
        self._timer = None
        self._due = _NEVER

    def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._due - time.monotonic(), self._look)

    def _look(self) -> None:
        """Does a message wait too long? It may be another than when this was set."""
        self._timer = None
        if self._due <= time.monotonic():
            self._lost()
        elif self._due != _NEVER:
            self._look_again()


def cut(send: Send) -> bool:
    """Break the connection behind `send`, unread data and all; False: it cannot be had.

    A server only closes it once all was read. uvicorn's `send` knows its transport.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        return False
    transport.abort()
    return True
