"""The ledger while its database is away, slow, locked, or answers too late."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import psycopg
import pytest

from billing.ledger import Admitted, Ledger, Peek, Settled
from billing.ledger import ledger as module
from billing.ledger.types import Answer, Item
from tests.billing import sessions
from tests.fixtures_ledger import Desk, make_party, make_settle
from tests.invariants import assert_books_balance, assert_nothing_held, rows
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.db.group_commit import BatchUnavailable


@pytest.fixture(autouse=True)
def quick(settings: Any) -> None:
    settings.DB_LOCK_TIMEOUT_MS = 100


async def outcome(asked: "asyncio.Future[Any]") -> Any:
    try:
        return await asked
    except (BatchUnavailable, psycopg.Error, TypeError) as error:
        return type(error)


async def test_put__counters_locked_too_long__refuses_admissions_and_lands_the_rest(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    held = await ledger.put(desk.admit())
    with sessions.locked_counters():
        bill = asyncio.ensure_future(ledger.put(make_settle(held, 70)))
        with pytest.raises(BatchUnavailable):
            await ledger.put(desk.admit())
        assert not ledger.healthy
        assert not bill.done()
    assert await bill == Settled(first=True, cost=70)
    assert isinstance(await ledger.put(desk.admit()), Admitted)
    assert ledger.healthy
    await db_thread.run(assert_books_balance)


async def test_put__backend_terminated_in_mid_transaction__loses_no_settlement(
    desk: Desk, ledger: Ledger, settings: Any, db_thread: DbThread
) -> None:
    settings.DB_LOCK_TIMEOUT_MS = 60_000
    held = await asyncio.gather(*(ledger.put(desk.admit()) for _ in range(20)))
    with sessions.locked_counters() as session:
        work = [ledger.put(make_settle(one, 70)) for one in held]
        bills = asyncio.gather(*work)
        asked = asyncio.ensure_future(ledger.put(desk.admit()))
        await asyncio.to_thread(sessions.wait_for_blocked, session)
        assert await asyncio.to_thread(sessions.end_ledger, ledger)
    with pytest.raises(BatchUnavailable):
        await asked
    assert all(settled.first for settled in await bills)
    await db_thread.run(assert_nothing_held)


async def test_put__connection_lost_while_idle__costs_at_most_one_batch(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    held = await ledger.put(desk.admit())
    assert await db_thread.run(sessions.end_ledger, ledger)
    assert await ledger.put(make_settle(held, 9)) == Settled(first=True, cost=9)
    assert isinstance(await ledger.put(desk.admit()), Admitted)
    await db_thread.run(assert_books_balance)


class Unheard(module.BatchWriter):
    """Commits its first batch, and then the connection is lost: nobody hears of it."""

    lost: Any = None

    def commit(
        self, connection: psycopg.Connection, items: Sequence[Item]
    ) -> list[Answer]:
        answers = super().commit(connection, items)
        if self.lost is None:
            self.lost = answers
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return answers


async def test_put__commit_whose_answer_is_lost__is_undone(
    desk: Desk,
    open_ledger: Callable[[], Ledger],
    db_thread: DbThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BatchWriter", Unheard)
    party = make_party("blue")
    ledger = open_ledger()
    with pytest.raises(BatchUnavailable):
        await ledger.put(desk.admit(party))
    await ledger.put(Peek())  # in the batch of what undoes it, or after
    assert isinstance(await ledger.put(desk.admit(party, quota=1)), Admitted)
    assert await db_thread.run(rows, "SELECT count(*) FROM billing_reservation") == [
        (1,)
    ]
    await db_thread.run(assert_books_balance)


async def test_put__settlement_committed_but_not_heard__is_counted_once(
    desk: Desk,
    ledger: Ledger,
    open_ledger: Callable[[], Ledger],
    db_thread: DbThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = await ledger.put(desk.admit())
    monkeypatch.setattr(module, "BatchWriter", Unheard)
    other = open_ledger()
    assert (await other.put(make_settle(held, 70))).first is False
    ledger_sum = "SELECT count(*), sum(cost_usd) * 1000000 FROM llm_usage"
    assert await db_thread.run(rows, ledger_sum) == [(1, 70)]
    await db_thread.run(assert_nothing_held)


async def test_put__one_item_that_cannot_be_written__takes_no_other_with_it(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    held = await asyncio.gather(*(ledger.put(desk.admit()) for _ in range(4)))
    too_slow = make_settle(held[0], 10, latency_ms=2**31)
    too_much = desk.admit(estimate=2**70)
    asked = [
        *(ledger.put(make_settle(one, 10)) for one in held[1:]),
        ledger.put(too_slow),
        ledger.put(too_much),
        *(ledger.put(desk.admit()) for _ in range(4)),
    ]
    answers = await asyncio.gather(*(outcome(asyncio.ensure_future(a)) for a in asked))
    assert all(answer.first for answer in answers[:3])
    assert answers[3] == Settled(first=True, cost=10)
    assert answers[4] is orjson.JSONEncodeError
    assert all(isinstance(answer, Admitted) for answer in answers[5:])
    assert ledger.healthy
    await db_thread.run(assert_books_balance)


async def test_put__caller_gone_before_the_answer__admission_is_given_back(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    with sessions.locked_counters() as session:
        asked = [asyncio.ensure_future(ledger.put(desk.admit())) for _ in range(5)]
        await asyncio.to_thread(sessions.wait_for_blocked, session)
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    await ledger.put(make_settle(await ledger.put(desk.admit()), 5))
    async with asyncio.timeout(60):
        while await db_thread.run(rows, "SELECT id FROM billing_reservation"):
            await asyncio.sleep(0)
    assert await db_thread.run(rows, "SELECT count(*) FROM llm_usage") == [(1,)]
    await db_thread.run(assert_nothing_held)


async def test_put__queue_full__refuses_admissions_and_takes_settlements(
    desk: Desk,
    open_ledger: Callable[[], Ledger],
    settings: Any,
    db_thread: DbThread,
) -> None:
    settings.BATCH_QUEUE_MAX = 3
    settings.DB_LOCK_TIMEOUT_MS = 60_000
    ledger = open_ledger()
    held = await ledger.put(desk.admit())
    with sessions.locked_counters() as session:
        first = asyncio.ensure_future(ledger.put(desk.admit()))
        await asyncio.to_thread(sessions.wait_for_blocked, session)
        waiting = [asyncio.ensure_future(ledger.put(desk.admit())) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(BatchUnavailable, match="full"):
            await ledger.put(desk.admit())
        bill = asyncio.ensure_future(ledger.put(make_settle(held, 5)))
        await asyncio.sleep(0)
        assert ledger.depth == 4
    assert (await bill).first
    for one in (first, *waiting):
        assert isinstance(await one, Admitted)
    await db_thread.run(assert_books_balance)


async def test_close__work_queued__is_committed_first(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    held = await asyncio.gather(*(ledger.put(desk.admit()) for _ in range(50)))
    bills = [asyncio.ensure_future(ledger.put(make_settle(one, 3))) for one in held]
    await asyncio.sleep(0)
    ledger.close()
    assert all(settled.first for settled in await asyncio.gather(*bills))
    with pytest.raises(BatchUnavailable):
        await ledger.put(desk.admit())
    await db_thread.run(assert_nothing_held)


async def test_close__database_away__ends_and_leaves_the_rest_to_the_reaper(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    held = await ledger.put(desk.admit())
    with sessions.locked_counters() as session:
        bill = asyncio.ensure_future(ledger.put(make_settle(held, 5)))
        await asyncio.to_thread(sessions.wait_for_blocked, session)
        await asyncio.to_thread(ledger.close, 0.1)
        with pytest.raises(BatchUnavailable):
            await bill
    await db_thread.run(assert_books_balance)
    assert await db_thread.run(rows, "SELECT count(*) FROM billing_reservation") == [
        (1,)
    ]
