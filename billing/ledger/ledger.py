"""The ledger: queues items for the group commit and returns their answers."""

import asyncio
import datetime as dt
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg
from django.conf import settings

from billing.ledger import sql
from billing.ledger.connection import connect
from billing.ledger.counter_keys import keys, past_sums
from billing.ledger.decide import decide
from billing.ledger.sanitize import drop_body, sanitize_item, weight
from billing.ledger.types import (
    Admit,
    Admitted,
    Answer,
    Books,
    BudgetRefused,
    Claimed,
    Hit,
    Item,
    LockedCounter,
    Note,
    Peek,
    Probe,
    Settle,
    Settled,
    Unhit,
)
from billing.ledger.windows import start
from billing.ledger.writes import Writes
from valuecanvas.core import failpoints
from valuecanvas.core.db import sqlstate
from valuecanvas.core.db.group_commit import GroupCommit, Policy
from valuecanvas.core.ids import uuid7
from valuecanvas.core.metrics import BATCH_SIZE, BATCH_WAIT

# Most age of sums of past days, which only shrink, in seconds; a refusal reads them again.
HISTORY_TTL_S = 5.0
FRESH_S = 0.05
MOST_SCOPES = 50_000
# The errors of an item that can never be written, whatever the database's state.
UNFIT = (psycopg.DataError, psycopg.IntegrityError, orjson.JSONEncodeError)


@dataclass(slots=True)
class BatchWriter:
    """Commits batches on one connection; caches the sums of past days."""

    today: dt.date = field(default_factory=lambda: dt.datetime.now(dt.UTC).date())
    # By scope and first day.
    _history: dict[tuple[str, dt.date], int] = field(default_factory=dict)
    _read_at: dict[tuple[str, dt.date], float] = field(default_factory=dict)

    def commit(
        self, connection: psycopg.Connection, items: Sequence[Item]
    ) -> list[Answer]:
        """Commit `items` in one transaction: two round trips, four statements."""
        with connection.cursor() as cursor:
            if all(isinstance(item, Peek | Probe) for item in items):
                if not all(isinstance(item, Peek) for item in items):
                    probe(connection)
                return [self._epoch(cursor)] * len(items)
            try:
                books = self._lock(cursor, items)
            except psycopg.errors.QueryCanceled as error:
                raise sqlstate.LockWait(str(error)) from error
            self._read_past_sums(cursor, items, books)
            self._read_claims(cursor, items, books)
            answers, writes = decide(items, books)
            if self._refused_on_cached_sum(answers):
                self._read_past_sums(cursor, items, books, afresh=True)
                books.rows = self._reread(cursor, items)
                answers, writes = decide(items, books)
            deleted = self._write(cursor, writes)
        if not writes and any(isinstance(item, Probe) for item in items):
            probe(connection)
        return [
            _late(answer, item, deleted)
            for item, answer in zip(items, answers, strict=True)
        ]

    def _epoch(self, cursor: psycopg.Cursor) -> int:
        cursor.execute("SELECT value FROM core_epoch WHERE id = 1")
        return int(_fetch_one(cursor)[0])

    def _lock(self, cursor: psycopg.Cursor, items: Sequence[Item]) -> Books:
        """Begin, lock the counters in order, and read them with the epoch and clock."""
        if len(self._read_at) > MOST_SCOPES:
            self._clear_cache()
        while True:
            unread = past_sums(items, self.today) - self._read_at.keys()
            wanted = keys(items, self.today, {scope for scope, _ in unread})
            rows, epoch, at = _lock_counters(cursor, wanted)
            if len(rows) < len(wanted):
                cursor.execute("ROLLBACK")
                cursor.execute(sql.FIRST_SEEN, [wanted])
                continue
            if at.date() == self.today:
                break
            # Midnight by the database's clock: other rows are needed.
            cursor.execute("ROLLBACK")
            self.today = at.date()
            self._clear_cache()
        return Books(epoch=epoch, at=at, rows=_locked_counters(rows))

    def _clear_cache(self) -> None:
        """Clear the cache. Only between batches: within one, its scopes would count as unspent."""
        self._history.clear()
        self._read_at.clear()

    def _reread(
        self, cursor: psycopg.Cursor, items: Sequence[Item]
    ) -> dict[str, LockedCounter]:
        cursor.execute("EXECUTE vc_lock(%s)", [keys(items, self.today)])
        return _locked_counters(cursor.fetchall())

    def _read_past_sums(
        self,
        cursor: psycopg.Cursor,
        items: Sequence[Item],
        books: Books,
        *,
        afresh: bool = False,
    ) -> None:
        """Fill in the sums of the budgets' earlier days."""
        wanted = past_sums(items, self.today)
        if not wanted:
            return
        now = time.monotonic()
        old = [
            one
            for one in wanted
            if afresh or now - self._read_at.get(one, -HISTORY_TTL_S) >= HISTORY_TTL_S
        ]
        if old:
            self._read_history(cursor, old, now)
        books.history = self._history

    def _read_history(
        self, cursor: psycopg.Cursor, wanted: list[tuple[str, dt.date]], now: float
    ) -> None:
        cursor.execute(sql.HISTORY, history_parameters(wanted, self.today))
        for scope, first, total in cursor:
            self._history[scope, first] = int(total)
            self._read_at[scope, first] = now

    def _read_claims(
        self, cursor: psycopg.Cursor, items: Sequence[Item], books: Books
    ) -> None:
        """Read the idempotency keys of the batch that were used before."""
        ids = [
            item.claim.id
            for item in items
            if isinstance(item, Admit | Hit) and item.claim is not None
        ]
        if not ids:
            return
        cursor.execute(sql.CLAIMS, [ids])
        for claim, fingerprint, request_id, done in cursor:
            books.claims[claim] = Claimed(fingerprint, str(request_id), done)

    def _refused_on_cached_sum(self, answers: list[Answer]) -> bool:
        """Whether a refusal used a cached sum, not one read in this batch."""
        now = time.monotonic()
        return any(
            now - self._read_at.get((answer.limit.scope, first), now) > FRESH_S
            for answer in answers
            if isinstance(answer, BudgetRefused)
            and (first := start(answer.limit, self.today)) is not None
        )

    def _write(self, cursor: psycopg.Cursor, writes: Writes) -> set[str]:
        """Write everything in one statement and commit, in one round trip."""
        if not writes:
            cursor.execute("COMMIT")
            return set()
        document = orjson.dumps(writes.document()).decode()
        failpoints.hit("before_reserve_commit", writes.held)
        failpoints.hit("inside_settle", writes.ended)
        statement = "vc_undo" if writes.undone else "vc_write"
        cursor.execute(f"EXECUTE {statement}(%s); COMMIT", [document])
        deleted = {str(row[0]) for row in cursor.fetchall()}
        cursor.nextset()
        failpoints.hit("after_reserve_commit", writes.held)
        failpoints.hit("after_commit_before_response", writes.ended)
        return deleted


def history_parameters(
    wanted: Iterable[tuple[str, dt.date]], today: dt.date
) -> dict[str, Any]:
    """The parameters of sql.HISTORY."""
    scopes, firsts = zip(*wanted, strict=True)
    return {"today": today, "scopes": list(scopes), "firsts": list(firsts)}


def _lock_counters(
    cursor: psycopg.Cursor, wanted: list[str]
) -> tuple[list[Any], int, dt.datetime]:
    """The locked rows, then the epoch and the clock, in one round trip."""
    cursor.execute("BEGIN; EXECUTE vc_lock(%s); EXECUTE vc_now", [wanted])
    cursor.nextset()
    rows = cursor.fetchall()
    cursor.nextset()
    epoch, at = _fetch_one(cursor)
    return rows, epoch, at.astimezone(dt.UTC)


def _locked_counters(rows: list[Any]) -> dict[str, LockedCounter]:
    return {row[0]: LockedCounter(row[1], row[2], row[3]) for row in rows}


def _fetch_one(cursor: psycopg.Cursor) -> Any:
    return cursor.fetchone()


def _late(answer: Answer, item: Item, deleted: set[str]) -> Answer:
    if isinstance(item, Settle) and str(item.admitted.id) not in deleted:
        return Settled(first=False, cost=0)
    return answer


def probe(connection: psycopg.Connection) -> None:
    """Write a row and delete it again. Raises what a write would."""
    connection.execute(sql.PROBE, {"id": str(uuid7())})


def commit_now(items: Sequence[Item]) -> list[Answer]:
    """Commit `items` on a new connection: for tasks and commands."""
    with connect() as connection:
        return BatchWriter().commit(connection, items)


def undo(item: Item, day: dt.date) -> Item | None:
    """The item that undoes an admission of `day`, whether it was committed or not."""
    if isinstance(item, Hit) and not item.charge.refund:
        return Unhit(uuid7(), item, day)
    if not isinstance(item, Admit):
        return None
    held = Admitted(
        id=item.id,
        party=item.party,
        day=day,
        at=dt.datetime.now(dt.UTC),
        estimate=item.estimate,
        used=0,
        quota=item.quota,
        limits=item.limits,
    )
    return Settle(held, {}, item.epoch, None, claim=item.claim)


class Ledger:
    """One per process. Call from its event loop."""

    def __init__(self) -> None:
        writer = BatchWriter()
        self._batch: GroupCommit[Item] = GroupCommit(
            Policy(
                connect=connect,
                work=writer.commit,
                must_commit=lambda item: isinstance(item, Settle | Unhit | Note),
                undo=lambda item: undo(item, writer.today),
                sanitize=sanitize_item,
                shrink=drop_body,
                weigh=weight,
                probe=probe,
                size=settings.BATCH_MAX,
                max_bytes=settings.BATCH_MAX_BYTES,
                capacity=settings.BATCH_QUEUE_MAX,
                capacity_bytes=settings.BATCH_QUEUE_MAX_BYTES,
                observe=_observe,
            )
        )

    async def put(self, item: Item) -> Any:
        """Commit `item` with the next group. Raises BatchUnavailable, and of UNFIT."""
        return await self._batch.put(item)

    def submit(self, item: Item) -> "asyncio.Future[Any]":
        """Queue `item` for the next group. Raises BatchUnavailable, but not for Settle."""
        return self._batch.submit(item)

    @property
    def depth(self) -> int:
        return self._batch.depth

    @property
    def healthy(self) -> bool:
        return self._batch.healthy

    @property
    def writable(self) -> bool:
        """False while settlements cannot be committed."""
        return self._batch.writable

    def close(self, timeout_s: float = 5.0) -> None:
        """Commit what is queued; what is not committed in time is lost."""
        self._batch.close(timeout_s)


def _observe(count: int, waited: float) -> None:
    BATCH_SIZE.observe(count)
    BATCH_WAIT.observe(waited)
