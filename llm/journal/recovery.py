"""Looks for processes of this machine that died, and settles what they left open."""

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import structlog
from django.db import Error as DatabaseError
from redis.exceptions import RedisError

from billing.accounting import reaper
from billing.accounting.reaper import AbandonedCall
from llm.breaker import board
from llm.breaker.types import Name
from llm.journal.dead_journals import (
    DeadJournal,
    claim_dead_journals,
    living_processes,
    progress_of,
)
from llm.journal.records import CallProgress
from llm.limits import limiter
from valuecanvas.core.cancel import end
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.storage.store import Store, StoreDown, open_store

log = structlog.get_logger("llm.heir")
EVERY_S = 10.0
_PASSING = (StoreDown, RedisError)


class JournalRecovery:
    """One per process. Every process looks; a lock decides who settles."""

    def __init__(self, db: DbThread, store: Store, folder: Path) -> None:
        self._db = db
        self._store = store
        self._folder = folder
        # What is still held in Redis in the name of a dead process.
        self._held: list[AbandonedCall] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look now, and every ten seconds from now on."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            await end(self._task)

    async def look(self) -> int:
        """Settle what the dead left; how many reservations ended."""
        left = await self._db.run(settle_all, self._folder)
        self._held += left
        while self._held:
            await free(self._store, self._held[-1])
            self._held.pop()
        return sum(one.ended for one in left)

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except (*_PASSING, DatabaseError, psycopg.Error, OSError) as error:
                log.warning("heir.waiting", error=type(error).__name__)
            await asyncio.sleep(EVERY_S)


async def free(store: Store, left: AbandonedCall) -> None:
    """Free the slots and probes that a dead process held in Redis.

    Raises StoreDown, RedisError.
    """
    for subject in left.subjects:
        await limiter.free(store, subject, left.journal)
    for provider, model in left.routes:
        await board.free(store, Name(provider, model), left.journal)


def settle_all(folder: Path) -> list[AbandonedCall]:
    """Settle the estate of every dead process with a journal in `folder`.

    Raises database errors: the journals are then kept for the next try.
    """
    with claim_dead_journals(folder) as estates:
        return [_settle(estate) for estate in estates]


def reap(folder: Path) -> int:
    """End what is past its lease, by what is known of it; how many that were.

    What a living process of this machine holds is left to it.
    """
    left: list[AbandonedCall] = []
    # Another account's journals are left to its own processes.
    with suppress(PermissionError):
        left = settle_all(folder)
    if left:
        asyncio.run(_free_all(left))
    ended = sum(one.ended for one in left)
    return ended + reaper.reap(
        living_processes(folder), lambda name: _came(folder, name)
    )


async def _free_all(left: list[AbandonedCall]) -> None:
    """From a process that is no gateway. What is not freed ends with its lease."""
    store = open_store()
    try:
        for one in left:
            await free(store, one)
    except _PASSING as error:
        log.warning("heir.not_freed", error=type(error).__name__)
    finally:
        await store.close()


def _came(folder: Path, name: str) -> reaper.Came | None:
    known = progress_of(folder, name)
    return None if known is None else _came_of(known)


def _came_of(progress: Mapping[uuid.UUID, CallProgress]) -> reaper.Came:
    return {key: (one.route, one.tokens, one.complete) for key, one in progress.items()}


def _settle(estate: DeadJournal) -> AbandonedCall:
    came = _came_of(estate.progress)
    left = reaper.settle_estate(estate.name, came)
    # Also of requests that were counted, and not admitted yet.
    left = replace(left, subjects=left.subjects | estate.subjects)
    if left.ended:
        log.warning("heir.settled", journal=estate.name, count=left.ended)
    return left
