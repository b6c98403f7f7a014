"""Crash recovery: settles the open calls of processes of this machine that died."""

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
from valuecanvas.core.cancel import Background
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.storage.store import Store, StoreDown, open_store

log = structlog.get_logger("llm.heir")
EVERY_S = 10.0
_TEMPORARY = (StoreDown, RedisError)


class JournalRecovery(Background):
    """One per process. Every process checks; a lock decides which one settles."""

    def __init__(self, db: DbThread, store: Store, folder: Path) -> None:
        self._db = db
        self._store = store
        self._folder = folder
        # What dead processes still hold in Redis.
        self._unfreed: list[AbandonedCall] = []

    async def settle_dead(self) -> int:
        """Settle the calls of dead processes; how many reservations ended."""
        abandoned = await self._db.run(settle_all, self._folder)
        self._unfreed += abandoned
        while self._unfreed:
            await free(self._store, self._unfreed[-1])
            self._unfreed.pop()
        return sum(one.ended for one in abandoned)

    async def _run(self) -> None:
        while True:
            try:
                await self.settle_dead()
            except (*_TEMPORARY, DatabaseError, psycopg.Error, OSError) as error:
                log.warning("heir.waiting", error=type(error).__name__)
            await asyncio.sleep(EVERY_S)


async def free(store: Store, abandoned: AbandonedCall) -> None:
    """Free the slots and probes that a dead process held in Redis.

    Raises StoreDown, RedisError.
    """
    for subject in abandoned.subjects:
        await limiter.free(store, subject, abandoned.journal)
    for provider, model in abandoned.routes:
        await board.free(store, Name(provider, model), abandoned.journal)


def settle_all(folder: Path) -> list[AbandonedCall]:
    """Settle the calls in every dead process's journal in `folder`.

    Raises database errors: the journals are then kept for the next try.
    """
    with claim_dead_journals(folder) as journals:
        return [_settle(journal) for journal in journals]


def reap(folder: Path) -> int:
    """End reservations past their lease, billed as the journals say; how many.

    Those of living processes of this machine are left alone.
    """
    abandoned: list[AbandonedCall] = []
    # Another account's journals are left to its own processes.
    with suppress(PermissionError):
        abandoned = settle_all(folder)
    if abandoned:
        asyncio.run(_free_all(abandoned))
    ended = sum(one.ended for one in abandoned)
    return ended + reaper.reap(
        living_processes(folder), lambda name: _progress(folder, name)
    )


async def _free_all(abandoned: list[AbandonedCall]) -> None:
    """Free slots and probes from a command. What is not freed ends with its lease."""
    store = open_store()
    try:
        for one in abandoned:
            await free(store, one)
    except _TEMPORARY as error:
        log.warning("heir.not_freed", error=type(error).__name__)
    finally:
        await store.close()


def _progress(folder: Path, name: str) -> reaper.ProgressById | None:
    known = progress_of(folder, name)
    return None if known is None else _as_tuples(known)


def _as_tuples(progress: Mapping[uuid.UUID, CallProgress]) -> reaper.ProgressById:
    return {key: (one.route, one.tokens, one.complete) for key, one in progress.items()}


def _settle(journal: DeadJournal) -> AbandonedCall:
    progress = _as_tuples(journal.progress)
    abandoned = reaper.settle_journal(journal.name, progress)
    # Add subjects of requests that were counted but not admitted yet.
    abandoned = replace(abandoned, subjects=abandoned.subjects | journal.subjects)
    if abandoned.ended:
        log.warning("heir.settled", journal=journal.name, count=abandoned.ended)
    return abandoned
