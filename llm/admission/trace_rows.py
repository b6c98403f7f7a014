"""Writes rows about requests that have none in the ledger, in the background.

Rows are written about once a second, never in the transaction that admits. Of a caller
and minute the first are kept whole, and what waits is bounded, so that no flood fills
the database.
"""

import asyncio
from collections import Counter, deque

import structlog
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError

from billing.auth.principal import Principal
from billing.refusals.refusal_rows import CountKey, TraceRow, save
from llm import metrics
from valuecanvas.core.cancel import Background
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.storage.lru import Lru

log = structlog.get_logger("llm.refusals")
EVERY_S = 1.0
MOST_WAITING = 10_000
MOST_COUNTS = 10_000
MOST_CALLERS = 10_000
AT_A_TIME = 1_000


class CallerMinutes:
    """How many rows of each caller were kept whole in the running minute."""

    def __init__(self) -> None:
        # A number is found much faster than a UUID.
        self._kept: Lru[tuple[int, str], tuple[int, int]] = Lru(MOST_CALLERS)

    def count(self, caller: Principal, minute: int) -> int:
        before, kept = self._kept.get((caller.customer_id.int, caller.key)) or (0, 0)
        return kept if before == minute else 0

    def add(self, caller: Principal, minute: int) -> None:
        kept = self.count(caller, minute) + 1
        self._kept.put((caller.customer_id.int, caller.key), (minute, kept))


class TraceRows(Background):
    """The rows of one process that are not written yet."""

    def __init__(self, db: DbThread) -> None:
        self._db = db
        self._waiting: deque[TraceRow] = deque()
        self._counts: Counter[CountKey] = Counter()

    @property
    def full(self) -> bool:
        """Whether no more rows are taken now."""
        return len(self._waiting) >= MOST_WAITING

    def add(self, row: TraceRow) -> None:
        """Have a row written. Ask `full` before it is made."""
        self._waiting.append(row)

    def count(self, key: CountKey) -> None:
        """Count a refusal of which no row is kept."""
        if key in self._counts or len(self._counts) < MOST_COUNTS:
            self._counts[key] += 1
        else:
            metrics.REFUSALS_DROPPED.inc()

    async def stop(self) -> None:
        """Write what waits, if the database takes it."""
        await super().stop()
        await self.flush()

    async def flush(self) -> None:
        """Write what waits; returns when it is written or cannot be."""
        while await self._write():
            pass

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self.flush()

    async def _write(self) -> bool:
        """Write a part of what waits; whether more can be written at once."""
        rows = [
            self._waiting.popleft() for _ in range(min(AT_A_TIME, len(self._waiting)))
        ]
        counts, self._counts = self._counts, Counter()
        if not rows and not counts:
            return False
        try:
            await asyncio.shield(self._db.run(save, rows, counts))
        except (OperationalError, InterfaceError) as error:
            log.warning("refusals.waiting", rows=len(rows), error=str(error)[:100])
            self._waiting.extendleft(reversed(rows))
            self._counts.update(counts)
            return False
        except DatabaseError as error:
            # What the database does not take would stand before all others.
            log.warning("refusals.dropped", rows=len(rows), error=str(error)[:100])
            metrics.REFUSALS_DROPPED.inc(len(rows))
        return bool(self._waiting)
