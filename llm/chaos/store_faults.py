"""Redis that is slow or down, for drills."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from llm.chaos.leases import Leases
from llm.models.chaos import FaultKind
from valuecanvas.core.storage.store import Store


class FaultStore(Store):
    """A store whose round trips suffer the faults of live leases.

    Made only if CHAOS_ENABLED. The faults come before the round trip, so nothing is sent
    to Redis twice, and the store's own limits and its own breaker see them.
    """

    def __init__(self, leases: Leases, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._leases = leases

    async def _round(self, calls: Sequence[Any]) -> list[Any]:
        for lease in self._leases.live():
            if lease.plan.fault not in (FaultKind.STORE_DOWN, FaultKind.STORE_SLOW):
                continue
            self._leases.note(lease)
            if lease.plan.fault == FaultKind.STORE_DOWN:
                raise RedisConnectionError(f"Injected by '{lease.name}'.")
            await asyncio.sleep(lease.plan.parameters["delay_ms"] / 1000)
        return await super()._round(calls)
