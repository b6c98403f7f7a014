"""Gets the committed configuration: compares the snapshot with the database's epoch."""

import asyncio
from contextlib import suppress

from django.conf import settings
from django.db import Error as DatabaseError

from billing.ledger import Ledger, Peek
from llm.configuration.live import LiveConfig
from llm.configuration.snapshot import Snapshot
from valuecanvas.core.db.group_commit import BatchUnavailable
from valuecanvas.core.errors import LedgerUnavailable, Unavailable


class CommittedConfig:
    """Refreshes the process's snapshot when it is outdated. One per process."""

    def __init__(self, live: LiveConfig, ledger: Ledger) -> None:
        self._live = live
        self._ledger = ledger
        self._probe: asyncio.Task[None] | None = None

    async def get_loaded(self) -> Snapshot:
        """The snapshot, perhaps outdated. Raises Unavailable if there is none."""
        return self._live.current if self._live.loaded else await self.latest()

    async def latest(self) -> Snapshot:
        """The committed configuration, or else the last one loaded.

        For answers without admission. Raises Unavailable if none was ever loaded.
        """
        if self._live.loaded and self.database_is_down():
            return self._live.current
        try:
            return await self._committed()
        except Unavailable:
            if self._live.loaded:
                return self._live.current
            raise

    async def is_behind(self, snapshot: Snapshot) -> bool:
        """Whether `snapshot` is outdated; the newer one is loaded. Raises Unavailable."""
        return (await self._committed()).epoch != snapshot.epoch

    async def refresh(self, epoch: int) -> None:
        """Load the configuration of that epoch. Raises Unavailable."""
        try:
            async with asyncio.timeout(settings.LLM_ADMIT_TIMEOUT_S):
                await self._live.refresh(epoch)
        except (DatabaseError, TimeoutError) as error:
            raise LedgerUnavailable from error

    def database_is_down(self) -> bool:
        """Whether the database is down; a background task checks if it is back."""
        if self._ledger.healthy:
            return False
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._probe_database())
        return True

    async def _probe_database(self) -> None:
        with suppress(Unavailable):
            await self._committed()

    async def _committed(self) -> Snapshot:
        try:
            async with asyncio.timeout(settings.LLM_ADMIT_TIMEOUT_S):
                epoch = await self._ledger.put(Peek())
                return await self._live.refresh(epoch)
        except (BatchUnavailable, TimeoutError, DatabaseError) as error:
            raise LedgerUnavailable from error
