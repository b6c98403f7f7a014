"""A statement that timed out while it waited for locks: others' fault, never the row's."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import psycopg
import pytest
from psycopg import errors
from pytest_django import Settings

from billing.ledger import Claim, Ledger, Settled, Stored
from billing.ledger import ledger as module
from billing.ledger.types import Answer, Item
from billing.models import IdempotencyKey, Usage
from tests.billing import sessions
from tests.fixtures_ledger import Desk, make_party, make_settle
from tests.invariants import assert_nothing_held
from valuecanvas.core.db import sqlstate
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.db.group_commit import BatchUnavailable

CLAIM = Claim("c" * 64, "f" * 64)
ANSWER = Stored(200, {}, b"Hello.")
# What other sessions may hold while a settlement is written.
LOCKS = {
    "counter rows": "SELECT * FROM billing_counter FOR UPDATE",
    "usage table": "LOCK TABLE llm_usage IN SHARE MODE",
}


class Counting(module.BatchWriter):
    """Counts its tries and how they ended."""

    failed: list[str]

    def commit(
        self, connection: psycopg.Connection, items: Sequence[Item]
    ) -> list[Answer]:
        try:
            return super().commit(connection, items)
        except psycopg.Error as error:
            self.failed.append(sqlstate.sqlstate_of(error))
            raise


@pytest.fixture
def failed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQLSTATE of each batch that failed."""
    found: list[str] = []
    monkeypatch.setattr(Counting, "failed", found, raising=False)
    monkeypatch.setattr(module, "BatchWriter", Counting)
    return found


@pytest.mark.parametrize("lock", LOCKS)
async def test_settle__statement_times_out_for_locks__lands_with_all_of_it(
    desk: Desk,
    failed: list[str],
    open_ledger: Callable[[], Ledger],
    db_thread: DbThread,
    settings: Settings,
    lock: str,
) -> None:
    settings.DB_STATEMENT_TIMEOUT_MS = 100
    settings.DB_LOCK_TIMEOUT_MS = 60_000
    ledger, party = open_ledger(), make_party()
    held = await ledger.put(desk.admit(party, claim=CLAIM))
    bill = replace(make_settle(held, 40), claim=CLAIM, answer=ANSWER)
    with sessions.connect() as session:
        session.execute(f"BEGIN; {LOCKS[lock]}")
        settled = ledger.submit(bill)
        async with asyncio.timeout(120):
            # A table's lock stops the ledger from connecting anew.
            while len(failed) < 6 and ledger._batch._failures < 4:
                await asyncio.sleep(0.01)
        assert not settled.done()
        session.execute("ROLLBACK")
    assert await settled == Settled(first=True, cost=40)

    def look() -> tuple[Usage, IdempotencyKey]:
        assert_nothing_held()
        return Usage.objects.get(pk=held.id), IdempotencyKey.objects.get()

    row, key = await db_thread.run(look)
    assert (row.marks, bytes(key.body or b"")) == ([], ANSWER.body)


async def test_admission__times_out_for_locks__has_nothing_to_undo(
    desk: Desk,
    failed: list[str],
    open_ledger: Callable[[], Ledger],
    settings: Settings,
) -> None:
    settings.DB_STATEMENT_TIMEOUT_MS = 100
    settings.DB_LOCK_TIMEOUT_MS = 60_000
    ledger = open_ledger()
    await ledger.put(desk.admit())
    with sessions.locked_counters():
        with pytest.raises(BatchUnavailable):
            await ledger.put(desk.admit())
        assert ledger._batch._queue.undos == []
        assert len(ledger._batch._answers) == 0
    assert failed == ["55P03"]


def test_lock_wait__any_statement__is_nobody_s_fault_and_committed_nothing() -> None:
    error = sqlstate.LockWait("said")
    assert isinstance(error, errors.LockNotAvailable)
    assert not sqlstate.row_at_fault(error)
    assert not sqlstate.row_suspected(error)
    assert not sqlstate.refuses_writes(error)
    assert not sqlstate.maybe_committed(error)
