"""The gateway with a probe of its event loop, for bench.scrape.

GET /bench/lag answers the longest time, in milliseconds, that the event loop was busy with
one thing since the last time it was asked. One worker.
"""

import asyncio
import time
from typing import Any

from bench.plan import LAG
from valuecanvas.asgi import application as gateway

TICK_S = 0.001


class LagProbe:
    """Wakes up every TICK_S, and keeps by how much it was late at most."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._task: asyncio.Task[None] | None = None

    def take_ms(self) -> float:
        """The longest delay since the last call."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch())
        found, self.longest_s = self.longest_s, 0.0
        return found * 1000

    async def _watch(self) -> None:
        while True:
            due = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            self.longest_s = max(self.longest_s, time.perf_counter() - due)


PROBE = LagProbe()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http" or scope["path"] != LAG:
        await gateway(scope, receive, send)
        return
    body = f"{PROBE.take_ms():.3f}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
