"""The gateway with a leak put in: every so often a request leaves something behind."""

import asyncio
import os
from typing import Any

from valuecanvas.asgi import application as sound

EVERY = 10


class Leaky:
    """Leaves a task and a descriptor after each EVERY-th request."""

    def __init__(self) -> None:
        self._count = 0
        self._left: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._count += 1
        if self._count % EVERY == 0:
            forever = asyncio.get_running_loop().create_future()
            self._left.append(asyncio.ensure_future(_wait(forever)))
            self._left.append(os.open(os.devnull, os.O_RDONLY))
        await sound(scope, receive, send)


async def _wait(forever: "asyncio.Future[None]") -> None:
    await forever


application = Leaky()
