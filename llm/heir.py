"""Looks for processes of this machine that died, and settles what they left open."""

import asyncio
from contextlib import suppress
from pathlib import Path

import psycopg
import structlog
from django.db import Error as DatabaseError

from billing import reaper
from llm.journal import Estate, inherit, last_known, living
from valuecanvas.core.db_thread import DbThread
from valuecanvas.core.ending import end

log = structlog.get_logger("llm.heir")
EVERY_S = 10.0


class Heir:
    """One per process. Every process looks; a lock decides who settles."""

    def __init__(self, db: DbThread, folder: Path) -> None:
        self._db = db
        self._folder = folder
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look now, and every ten seconds from now on."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            await end(self._task)

    async def look(self) -> int:
        """Settle what the dead left; how many reservations ended."""
        return await self._db.run(settle_all, self._folder)

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except (DatabaseError, psycopg.Error, OSError) as error:
                log.warning("heir.waiting", error=type(error).__name__)
            await asyncio.sleep(EVERY_S)


def settle_all(folder: Path) -> int:
    """Settle the estate of every dead process with a journal in `folder`.

    Raises database errors: the journals are then kept for the next try.
    """
    ended = 0
    with inherit(folder) as estates:
        for estate in estates:
            ended += _settle(estate)
    return ended


def reap(folder: Path) -> int:
    """End what is past its lease, by what is known of it; how many that were.

    What a living process of this machine holds is left to it.
    """
    ended = 0
    # Another account's journals are left to its own processes.
    with suppress(PermissionError):
        ended = settle_all(folder)
    return ended + reaper.reap(living(folder), lambda name: _came(folder, name))


def _came(folder: Path, name: str) -> reaper.Came:
    found = last_known(folder, name)
    return {key: (one.route, one.tokens) for key, one in found.items()}


def _settle(estate: Estate) -> int:
    came = {key: (one.route, one.tokens) for key, one in estate.progress.items()}
    ended = reaper.settle_estate(estate.name, came)
    if ended:
        log.warning("heir.settled", journal=estate.name, count=ended)
    return ended
