"""Holds the process's current snapshot, and refreshes it when it is outdated."""

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog

from llm.configuration import last_known, snapshot
from llm.configuration.last_known import LastKnown
from llm.configuration.snapshot import Snapshot
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.db.epoch import ConfigChange
from valuecanvas.core.metrics import SNAPSHOT_EPOCH, note_snapshot

log = structlog.get_logger("llm.config")


class LiveConfig:
    """Holds the snapshot. `on_change` gets the changes before it is replaced; None if
    anything may have changed.
    """

    def __init__(
        self, db: DbThread, on_change: Callable[[Iterable[ConfigChange] | None], None]
    ) -> None:
        self._db = db
        self._on_change = on_change
        self._current: Snapshot | None = None
        self._last_known: LastKnown | None = None
        self._lock = asyncio.Lock()

    @property
    def current(self) -> Snapshot:
        """The snapshot; raises RuntimeError before the first `refresh`."""
        if self._current is None:
            raise RuntimeError("The configuration has not been loaded yet.")
        return self._current

    @property
    def loaded(self) -> bool:
        return self._current is not None

    @property
    def last_known(self) -> LastKnown | None:
        """What `recall` found, until the configuration is loaded. Admit nothing on it."""
        return self._last_known

    async def recall(self) -> None:
        """Load the last known configuration from disk, if the database is down."""
        found = await asyncio.to_thread(last_known.load)
        if found is not None and not self.loaded:
            self._last_known = found
            note_snapshot(found.saved_at)
            log.warning("config.last_known", epoch=found.epoch, saved_at=found.saved_at)

    async def refresh(self, found: int | None = None) -> Snapshot:
        """Load what changed, unless the snapshot is at the epoch `found` already.

        Raises django.db.Error if the database is down.
        """
        async with self._lock:
            # Equal, not at least: a restored database goes on from an earlier epoch.
            if self._current is not None and self._current.epoch == found:
                note_snapshot(time.time())
                return self._current
            fresh, changes = await self._db.run(snapshot.load, self._current)
            self._on_change(changes)
            self._current, self._last_known = fresh, None
        SNAPSHOT_EPOCH.set(fresh.epoch)
        note_snapshot(time.time())
        if changes:
            log.info("config.refreshed", epoch=fresh.epoch, changes=len(changes))
        return fresh
