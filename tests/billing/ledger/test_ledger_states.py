"""A database that answers but accepts no writes: nothing is lost, readiness fails."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import errors

from billing.ledger import Admitted, Claim, Ledger, Probe, Settled, Stored
from billing.ledger import decide as decide_module
from billing.ledger import ledger as module
from billing.ledger.types import Answer, Item
from billing.models import IdempotencyKey, Usage
from tests.billing import sessions
from tests.fixtures_ledger import Desk, make_party, make_settle
from tests.invariants import assert_nothing_held
from valuecanvas.core.db import commit_retries
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.db.group_commit import BatchUnavailable

CLAIM = Claim("c" * 64, "f" * 64)
ANSWER = Stored(200, {}, b"Hello.")
# One or two of each class of the database's state.
STATES = (
    "08006",
    "25006",
    "25P03",
    "28000",
    "40001",
    "40P01",
    "53100",
    "53300",
    "54000",
    "55P03",
    "57014",
    "57P01",
    "58030",
    "XX000",
)


class Failing(module.BatchWriter):
    """Fails every write with `error`, until it is switched off."""

    error: BaseException | None = None

    def commit(
        self, connection: psycopg.Connection, items: Sequence[Item]
    ) -> list[Answer]:
        if Failing.error is not None:
            raise Failing.error
        return super().commit(connection, items)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Failing]]:
    monkeypatch.setattr(module, "BatchWriter", Failing)

    def probe(connection: psycopg.Connection) -> None:
        if Failing.error is not None:
            raise Failing.error

    monkeypatch.setattr(module, "probe", probe)
    yield Failing
    Failing.error = None


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("code", STATES)
async def test_state__any_class__refuses_callers_and_settles_in_full_afterwards(
    desk: Desk,
    failing: type[Failing],
    open_ledger: Callable[[], Ledger],
    db_thread: DbThread,
    code: str,
) -> None:
    ledger = open_ledger()
    party = make_party()
    held = await ledger.put(desk.admit(party, claim=CLAIM))
    failing.error = errors.lookup(code)("said")
    bill = replace(make_settle(held, 40), claim=CLAIM, answer=ANSWER)
    settled = ledger.submit(bill)
    for item in (desk.admit(), desk.hit(), Probe()):
        with pytest.raises(BatchUnavailable):
            await ledger.put(item)
    batch = ledger._batch
    await until(lambda: len(batch._queue.retries) > 0)
    assert not settled.done()
    failing.error = None
    assert await settled == Settled(first=True, cost=40)
    assert isinstance(await ledger.put(desk.admit(party, quota=2)), Admitted)
    await ledger.put(Probe())
    assert ledger.writable

    def look() -> tuple[Usage, IdempotencyKey]:
        return Usage.objects.get(pk=held.id), IdempotencyKey.objects.get()

    row, key = await db_thread.run(look)
    assert (row.status, row.marks, bytes(key.body or b"")) == ("ok", [], ANSWER.body)


@pytest.mark.parametrize("code", ["22003", "22P02", "23502", "23514"])
async def test_row_at_fault__any_class__is_told_while_others_land(
    desk: Desk,
    failing: type[Failing],
    open_ledger: Callable[[], Ledger],
    code: str,
) -> None:
    ledger = open_ledger()
    held = await ledger.put(desk.admit())
    failing.error = errors.lookup(code)("said")
    with pytest.raises(errors.lookup(code)):
        await ledger.submit(make_settle(held, 40))
    assert ledger.writable


@pytest.fixture
def read_only(desk: Desk) -> Iterator[Callable[..., None]]:
    yield sessions.set_read_only
    sessions.set_read_only(False)


async def test_read_only__like_a_full_managed_disk__loses_no_bill(
    desk: Desk,
    ledger: Ledger,
    db_thread: DbThread,
    read_only: Callable[..., None],
) -> None:
    party = make_party()
    held = [await ledger.put(desk.admit(party, quota=20)) for _ in range(20)]
    assert await ledger.put(Probe())
    read_only(True, ledger)
    bills = [ledger.submit(make_settle(one, 7)) for one in held]
    for item in (desk.admit(), desk.hit(), Probe()):
        with pytest.raises(BatchUnavailable):
            await ledger.put(item)
    assert not ledger.writable
    assert not any(one.done() for one in bills)
    read_only(False)
    assert all([(await one).first for one in bills])
    await until(lambda: ledger.writable)
    await ledger.put(Probe())
    await db_thread.run(assert_nothing_held)
    assert await db_thread.run(Usage.objects.filter(status="ok").count) == 20


async def test_idle_in_transaction_timeout__in_mid_batch__loses_no_bill(
    desk: Desk,
    open_ledger: Callable[[], Ledger],
    db_thread: DbThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Our process is stopped while it holds locks: the server ends the session."""
    stopped: list[int] = []
    decide = decide_module.decide

    def stop_once(items: Sequence[Item], books: Any) -> Any:
        if not stopped:
            stopped.append(1)
            own = ledger._batch._connection._connection
            assert own is not None
            sessions.wait_for_end(own.info.backend_pid)
        return decide(items, books)

    ledger = open_ledger()
    held = await ledger.put(desk.admit())
    own = ledger._batch._connection._connection
    assert own is not None
    own.execute("SET idle_in_transaction_session_timeout = 50")
    monkeypatch.setattr(module, "decide", stop_once)
    assert await ledger.put(make_settle(held, 7)) == Settled(first=True, cost=7)
    assert stopped
    await db_thread.run(assert_nothing_held)


async def test_probe__among_refusals__still_says_whether_a_write_lands(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    asked = [ledger.submit(one) for one in (desk.admit(quota=0), Probe(), Probe())]
    assert await asked[1] == await asked[2] == desk.epoch
    assert await db_thread.run(IdempotencyKey.objects.count) == 0


# In the place of a statement's whole time limit: a part of it, and then its error.
SLOW = """
CREATE FUNCTION slow_answer() RETURNS trigger AS $$
BEGIN
    IF length(NEW.body) > 1000 THEN
        PERFORM pg_sleep(%(seconds)s);
        RAISE EXCEPTION 'too slow' USING ERRCODE = 'query_canceled';
    END IF;
    RETURN NEW;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER slow_answer BEFORE UPDATE ON billing_idempotency
FOR EACH ROW EXECUTE FUNCTION slow_answer()
"""
QUICK = "DROP TRIGGER slow_answer ON billing_idempotency; DROP FUNCTION slow_answer"


@pytest.fixture
def slow_answers(
    desk: Desk, request: pytest.FixtureRequest, settings: Any
) -> Iterator[None]:
    """A disk that takes no answer above 1,000 bytes in time."""
    seconds = request.param
    settings.DB_STATEMENT_TIMEOUT_MS = 200 if seconds > 1 else 2000
    with sessions.connect() as session:
        session.execute(SLOW % {"seconds": seconds})
        yield
        session.execute(QUICK)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of a hundred tries is waited for: not by the half second."""
    monkeypatch.setattr(commit_retries, "BACKOFF", (0.02,))


@pytest.mark.parametrize("slow_answers", [0.03], indirect=True)
@pytest.mark.usefixtures("slow_answers", "quick_retries")
async def test_kept_answers__too_slow_to_write__are_dropped_and_all_is_settled(
    desk: Desk, open_ledger: Callable[[], Ledger], db_thread: DbThread
) -> None:
    """B1: 64 of them once stopped a process for ever, and others with it."""
    ledger, other = open_ledger(), open_ledger()
    claims = [Claim(f"{n:064d}", "f" * 64) for n in range(64)]
    asked = (ledger.put(desk.admit(claim=claim)) for claim in claims)
    held = await asyncio.gather(*asked)
    large = Stored(200, {}, b"x" * 2000)
    bills = [
        ledger.submit(replace(make_settle(one, 7), claim=claim, answer=large))
        for one, claim in zip(held, claims, strict=True)
    ]
    # Meanwhile, another process is answered.
    assert isinstance(await other_put(other, desk), Admitted)
    assert all([(await one).first for one in bills])
    assert isinstance(await ledger.put(desk.admit()), Admitted)

    def look() -> tuple[int, int, int]:
        keys = IdempotencyKey.objects.filter(done=True)
        reduced = Usage.objects.filter(marks__contains=["reduced"], status="ok")
        return keys.count(), keys.filter(body=None).count(), reduced.count()

    assert await db_thread.run(look) == (64, 64, 64)


async def other_put(ledger: Ledger, desk: Desk) -> Any:
    async with asyncio.timeout(60):
        while True:
            try:
                return await ledger.put(desk.admit())
            except BatchUnavailable:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("slow_answers", [10], indirect=True)
@pytest.mark.usefixtures("slow_answers", "quick_retries")
async def test_close__kept_answers_too_slow_to_write__settles_them_all_the_same(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    claims = [Claim(f"{n:064d}", "f" * 64) for n in range(20)]
    asked = (ledger.put(desk.admit(claim=claim)) for claim in claims)
    held = await asyncio.gather(*asked)
    large = Stored(200, {}, b"x" * 2000)
    for one, claim in zip(held, claims, strict=True):
        ledger.submit(replace(make_settle(one, 7), claim=claim, answer=large))
    await asyncio.to_thread(ledger.close, 60)
    await db_thread.run(assert_nothing_held)
    assert await db_thread.run(Usage.objects.filter(status="ok").count) == 20
