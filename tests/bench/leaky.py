"""The gateway with a leak put in: requests leave something behind."""

import asyncio
import os
import time
from typing import Any

from valuecanvas.asgi import application as sound

# So many a second, however few requests a busy machine lets through.
PER_S = 20


class Leaky:
    """Leaves tasks and descriptors, as many as are due when a request comes."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._left: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        due = (time.monotonic() - self._began) * PER_S
        while len(self._left) < 2 * due:
            forever = asyncio.get_running_loop().create_future()
            self._left.append(asyncio.ensure_future(_wait(forever)))
            self._left.append(os.open(os.devnull, os.O_RDONLY))
        await sound(scope, receive, send)


async def _wait(forever: "asyncio.Future[None]") -> None:
    await forever


application = Leaky()
