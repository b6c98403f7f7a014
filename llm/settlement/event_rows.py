"""Writes failed attempts and breaker transitions in the background."""

import asyncio
import datetime as dt
from collections import deque

import structlog
from django.db import Error as DatabaseError
from django.db import models

from llm.breaker.types import BreakerState, Name
from llm.models import Attempt, BreakerEvent
from llm.upstream.attempts import Attempts
from valuecanvas.core import money
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.ids import uuid7

log = structlog.get_logger("llm.records")
# Kept while the database is down; the oldest are dropped first.
MOST_WAITING = 10_000
RETRY_S = 1.0


class EventRows:
    """Writes rows in bulk, and tries again while the database is down."""

    def __init__(self, db: DbThread) -> None:
        self._db = db
        self._waiting: deque[models.Model] = deque(maxlen=MOST_WAITING)
        self._task: asyncio.Task[None] | None = None

    def add_attempts(self, attempts: Attempts) -> None:
        """Add a row for each failed attempt of a request that has none."""
        for number, failure in enumerate(attempts.failures, start=1):
            if number <= attempts.recorded:
                continue
            attempts.recorded = number
            self._add(
                Attempt(
                    id=uuid7(),
                    request_id=attempts.held.call.id,
                    number=number,
                    provider=failure.provider,
                    upstream_model=failure.upstream_model,
                    outcome=failure.verdict,
                    status=failure.status,
                    error=failure.message[:300],
                    injected_by=failure.injected_by,
                    latency_ms=failure.latency_ms,
                    provider_cost_usd=money.to_usd(failure.provider_cost),
                    created_at=failure.at,
                )
            )

    def add_transition(
        self, name: Name, before: BreakerState, after: BreakerState, reason: str
    ) -> None:
        """Log a breaker's change of state, and add its row."""
        if name.scope:
            reason = f"{reason}; only for calls that {name.scope} may meet"
        fields = {
            "provider": name.provider,
            "upstream_model": name.model,
            "from_state": before.value,
            "to_state": after.value,
        }
        log.warning("breaker.transition", **fields, reason=reason)
        self._add(
            BreakerEvent(
                **fields,
                reason=reason[:200],
                created_at=dt.datetime.now(dt.UTC),
            )
        )

    async def flush(self) -> None:
        """Write the rows that wait; returns when they are written or cannot be."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=RETRY_S)

    def _add(self, row: models.Model) -> None:
        self._waiting.append(row)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:
            rows = list(self._waiting)
            try:
                await self._db.run(_save, rows)
            except DatabaseError as error:
                log.warning("records.waiting", rows=len(rows), error=str(error)[:100])
                await asyncio.sleep(RETRY_S)
                continue
            for _ in rows:
                if self._waiting:
                    self._waiting.popleft()


def _save(rows: list[models.Model]) -> None:
    attempts = [row for row in rows if isinstance(row, Attempt)]
    Attempt.objects.bulk_create(attempts, ignore_conflicts=True)
    events = [row for row in rows if isinstance(row, BreakerEvent)]
    BreakerEvent.objects.bulk_create(events)
