"""Detects leaders whose process has died, by their lost connection to Redis."""

import asyncio
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from llm.coalesce.bus import Bus
from valuecanvas.core.cancel import Background
from valuecanvas.core.storage.store import StoreDown

# More than a process that lost its connection needs to listen again.
WATCH_S = 2.0
Leaders = Callable[[], set[str]]
OnDeath = Callable[[str], Awaitable[None]]


class LeaderWatch(Background):
    """Checks whether `leaders` still listen; calls `on_death` for one that does not.

    A process that merely hangs keeps its connection: its lease decides.
    """

    def __init__(self, bus: Bus, leaders: Leaders, on_death: OnDeath) -> None:
        self._bus = bus
        self._leaders = leaders
        self._on_death = on_death

    async def _run(self) -> None:
        missed: set[str] = set()
        while True:
            await asyncio.sleep(WATCH_S)
            missing = await self._missing()
            # One check may fall into the moment in which it reconnects.
            for leader in missing & missed:
                await self._on_death(leader)
            missed = missing

    async def _missing(self) -> set[str]:
        leaders = self._leaders()
        if not leaders:
            return set()
        try:
            return await self._bus.find_missing(leaders)
        except (StoreDown, RedisError):
            return set()
