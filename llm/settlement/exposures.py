"""Counts how often each flag gave each variant, and writes the counts now and then."""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import Error as DatabaseError

from flags import exposure
from flags.exposure import ExposureKey
from valuecanvas.core.cancel import Background
from valuecanvas.core.db.db_thread import DbThread

log = structlog.get_logger("llm.exposures")
EVERY_S = 10.0
# Flags are few; a client cannot make more of them by asking for what is not there.
MOST_WAITING = 50_000


class ExposureCounts(Background):
    """The counts of one process. A killed process loses some: they are only for
    charts, and experiments count the ledger's rows.
    """

    def __init__(self, db: DbThread) -> None:
        self._db = db
        self._waiting: Counter[ExposureKey] = Counter()

    async def stop(self) -> None:
        """Write the counts that wait, if the database takes them."""
        if self._task is not None:
            await super().stop()
            await self._flush()

    def note(self, flag: str, variant: str) -> None:
        """Count that one caller got `variant` of `flag`."""
        if variant and len(self._waiting) < MOST_WAITING:
            self._waiting[ExposureKey(flag, variant)] += 1

    def note_all(self, flags: Mapping[str, Any]) -> None:
        """A request's flags, by name."""
        for flag, variant in flags.items():
            if isinstance(variant, str):
                self.note(flag, variant)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self._flush()

    async def _flush(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, Counter()
        try:
            await self._db.run(exposure.add, waiting, dt.datetime.now(dt.UTC))
        except DatabaseError as error:
            log.warning("exposures.waiting", error=type(error).__name__)
            self._waiting.update(waiting)
