"""Saves the configuration to disk, so that a process can start without the database."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from django.db import Error as DatabaseError

from billing.auth import key_facts, offline_keys
from billing.auth.principal import Principal
from llm.configuration import last_known
from llm.configuration.live import LiveConfig
from llm.configuration.snapshot import Snapshot
from valuecanvas.core.cancel import Background
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.storage.lru import Lru

log = structlog.get_logger("llm.keeper")

# It is checked, and written if it changed, this often, in seconds.
CHECK_EVERY_S = 3.0
# The file says when it was current: it is written again after this.
SAVE_EVERY_S = 300.0
# After a failure.
AWAY_S = 30.0


class DiskWriter(Background):
    """Writes what a start without the database needs. One per process.

    Processes of one machine write the same files. Each time the keys on disk are merged
    with this process's own, and looked up again: revoked ones are removed.
    """

    def __init__(self, db: DbThread, config: LiveConfig) -> None:
        self._db = db
        self._config = config
        self._readers: Lru[str, bool] = Lru(offline_keys.MOST)
        self._new_reader = False
        self._saved_at: float | None = None  # monotonic
        # What this process wrote to the files.
        self._sections: Mapping[str, Any] = {}
        self._keys_epoch = 0

    def note(self, principal: Principal) -> None:
        """Remember the key of a caller that reads flags or prompts, if it has one."""
        if principal.key and self._readers.get(principal.key) is None:
            self._readers.put(principal.key, True)
            self._new_reader = True

    async def save(self) -> bool:
        """Write what has changed, and all now and then; whether that worked.

        Raises DatabaseError, JSONEncodeError.
        """
        if not self._config.loaded:
            return True
        overdue = (
            self._saved_at is None or time.monotonic() - self._saved_at >= SAVE_EVERY_S
        )
        if overdue:
            # Without requests this process has not heard of changes.
            await self._config.refresh()
        snapshot = self._config.current
        saved = True
        if overdue or self._behind(snapshot):
            saved = await self._save(snapshot)
        if overdue or self._new_reader or self._keys_epoch != snapshot.epoch:
            await self._save_keys(snapshot.epoch)
        return saved

    def _behind(self, snapshot: Snapshot) -> bool:
        """Whether a section changed: a changed one is a new object."""
        return any(
            snapshot.sections[kind] is not self._sections.get(kind)
            for kind in last_known.SECTIONS
        )

    async def _save(self, snapshot: Snapshot) -> bool:
        if not await asyncio.to_thread(last_known.save, snapshot):
            return False
        self._saved_at = time.monotonic()
        self._sections = snapshot.sections
        return True

    async def _save_keys(self, epoch: int) -> None:
        self._new_reader = False
        saved = await asyncio.to_thread(last_known.saved_prefixes)
        known = dict.fromkeys([*self._readers.latest(), *saved])
        prefixes = list(known)[: offline_keys.MOST]
        if prefixes:
            found = await self._db.run(key_facts.load_keys, prefixes)
            await asyncio.to_thread(last_known.save_keys, epoch, found, prefixes)
        self._keys_epoch = epoch

    async def _run(self) -> None:
        pause = CHECK_EVERY_S
        while True:
            await asyncio.sleep(pause)
            try:
                saved = await self.save()
            except (DatabaseError, orjson.JSONEncodeError) as error:
                log.warning("keeper.not_saved", error=type(error).__name__)
                self._new_reader, saved = True, False
            pause = CHECK_EVERY_S if saved else AWAY_S
