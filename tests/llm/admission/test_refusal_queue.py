"""What waits to be written is bounded, and a flood is counted."""

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import DataError, OperationalError

from billing.auth.callers import Callers
from billing.auth.principal import Principal
from billing.ledger import Stored
from billing.ledger.claims import Answered
from billing.models import IdempotentReplay, Refusal, RefusalCount
from billing.refusals import refusal_rows
from llm import metrics
from llm.admission import trace_rows
from llm.admission.authentication import Authentication
from llm.admission.idempotent_replay import IdempotentReplays
from llm.admission.refusal_trace import RefusalTrace
from llm.admission.trace_rows import TraceRows
from llm.types import Call
from tests.fixtures_billing import unique
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.errors import GatewayError, InvalidRequest, NotFound
from valuecanvas.core.ids import uuid7

NOBODY: frozenset[str] = frozenset()


@pytest.fixture
async def rows(db_thread: DbThread) -> AsyncIterator[TraceRows]:
    made = TraceRows(db_thread)
    yield made
    await made.stop()


@pytest.fixture
def refusals(callers: Callers, rows: TraceRows) -> RefusalTrace:
    return RefusalTrace(Authentication(callers), callers, rows)


@pytest.fixture(autouse=True)
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The minute does not end within a test."""
    at = time.time() // 60 * 60
    monkeypatch.setattr("time.time", lambda: at)


def caller(key: str = "", user: str = "ada") -> Principal:
    return Principal(uuid4(), user, "free", "", key, NOBODY, NOBODY, False, None)


def refuse(
    refusals: RefusalTrace,
    who: Principal,
    error: GatewayError | None = None,
    **fields: Any,
) -> Call:
    call = Call(uuid7(), "chat", {"model": "m"}, **fields)
    refusals.add(refusals.watch(call), who, error or InvalidRequest("No."))
    return call


def dropped() -> float:
    return float(metrics.REFUSALS_DROPPED._value.get())


async def stored(db_thread: DbThread) -> tuple[int, list[RefusalCount]]:
    counts = await db_thread.run(lambda: [*RefusalCount.objects.order_by("code")])
    return await db_thread.run(Refusal.objects.count), counts


async def test_flood__of_one_caller__keeps_the_first_and_counts_the_rest(
    refusals: RefusalTrace, rows: TraceRows, db_thread: DbThread, settings: Any
) -> None:
    settings.REFUSALS_PER_MINUTE = 3
    who = caller("abcdefghijkl")
    for _ in range(50):
        refuse(refusals, who)
    refuse(refusals, who, NotFound("Gone."))
    await rows.flush()
    whole, (first, second) = await stored(db_thread)
    assert whole == 3
    assert (first.code, first.count) == ("invalid_request", 47)
    assert (second.code, second.count) == ("not_found", 1)
    assert (first.customer_id, first.key) == (who.customer_id, who.key)
    # Further ones of the minute are added to the same row.
    refuse(refusals, who)
    await rows.flush()
    _, (first, _) = await stored(db_thread)
    assert first.count == 48


async def test_flood__of_one_caller__leaves_room_for_others(
    refusals: RefusalTrace, rows: TraceRows, db_thread: DbThread, settings: Any
) -> None:
    settings.REFUSALS_PER_MINUTE = 1
    noisy = caller()
    for _ in range(5):
        refuse(refusals, noisy)
    call = refuse(refusals, caller(user="bob"))
    await rows.flush()
    row = await db_thread.run(Refusal.objects.get, pk=call.id)
    assert row.user_id == "bob"


async def test_minute__a_new_one__keeps_refusals_whole_again(
    refusals: RefusalTrace,
    rows: TraceRows,
    db_thread: DbThread,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.REFUSALS_PER_MINUTE = 1
    who = caller()
    refuse(refusals, who)
    refuse(refusals, who)
    later = time.time() + 60
    monkeypatch.setattr("time.time", lambda: later)
    refuse(refusals, who)
    await rows.flush()
    assert (await stored(db_thread))[0] == 2


async def test_queue__full__drops_and_counts(
    refusals: RefusalTrace,
    rows: TraceRows,
    db_thread: DbThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trace_rows, "MOST_WAITING", 2)
    monkeypatch.setattr(trace_rows, "MOST_COUNTS", 0)
    before, who = dropped(), caller()
    for _ in range(5):
        refuse(refusals, who)
    assert dropped() - before == 3
    for _ in range(20):
        refuse(refusals, caller())
    await rows.flush()
    assert (await stored(db_thread))[0] == 2


async def test_counts__full__drop_and_count(
    refusals: RefusalTrace, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REFUSALS_PER_MINUTE = 1
    monkeypatch.setattr(trace_rows, "MOST_COUNTS", 1)
    before, first, second = dropped(), caller(), caller()
    for who in (first, second):
        for _ in range(3):
            refuse(refusals, who)
    assert dropped() - before == 2


async def test_database__away__is_tried_again_with_all_of_them(
    refusals: RefusalTrace,
    rows: TraceRows,
    db_thread: DbThread,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.REFUSALS_PER_MINUTE = 2
    who = caller()
    for _ in range(5):
        refuse(refusals, who)

    def away(*_: Any) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(trace_rows, "save", away)
        await rows.flush()
    assert (await stored(db_thread))[0] == 0
    await rows.flush()
    whole, [count] = await stored(db_thread)
    assert (whole, count.count) == (2, 3)


async def test_database__does_not_take_a_batch__goes_on_with_the_next(
    refusals: RefusalTrace,
    rows: TraceRows,
    db_thread: DbThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = dropped()
    refuse(refusals, caller())

    def refuse_rows(*_: Any) -> None:
        raise DataError("no")

    with monkeypatch.context() as broken:
        broken.setattr(trace_rows, "save", refuse_rows)
        await rows.flush()
    assert dropped() - before == 1
    refuse(refusals, caller())
    await rows.flush()
    assert (await stored(db_thread))[0] == 1


async def test_text__that_the_database_does_not_take__is_kept_without_it(
    refusals: RefusalTrace, rows: TraceRows, db_thread: DbThread
) -> None:
    call = Call(uuid7(), "/v1/\0", {"model": "a\0b\ud800" + "x" * 5000})
    error = InvalidRequest("Not 'a\0b'. " + "y" * 5000, param="\0", code="odd\0")
    error.headers["Retry-After"] = "soon"
    refusals.add(refusals.watch(call), caller(), error)
    await rows.flush()
    row = await db_thread.run(Refusal.objects.get, pk=call.id)
    assert row.model.startswith("a\N{REPLACEMENT CHARACTER}b?x")
    assert (len(row.model), len(row.message)) == (200, 1000)
    assert row.retry_at is None
    assert row.code == "odd\N{REPLACEMENT CHARACTER}"


async def test_job__that_waits__leaves_one_trace_for_each_reason(
    refusals: RefusalTrace, rows: TraceRows, db_thread: DbThread
) -> None:
    who = caller()
    for error in (InvalidRequest("No."), InvalidRequest("No."), NotFound("No.")):
        refuse(refusals, who, error, job="a-job")
    await rows.flush()
    assert (await stored(db_thread))[0] == 2


async def test_error__recorded_already__is_not_kept_twice(
    refusals: RefusalTrace, rows: TraceRows, db_thread: DbThread
) -> None:
    error = InvalidRequest("No.")
    refuse(refusals, caller(), error)
    call = Call(uuid7(), "chat", {})
    await refusals.note(refusals.watch(call), error)
    refusals.note_known(refusals.watch(call), error)
    await rows.flush()
    assert (await stored(db_thread))[0] == 1


async def test_follower__that_starts_again__has_its_row_in_the_ledger(
    refusals: RefusalTrace, rows: TraceRows, db_thread: DbThread
) -> None:
    call = Call(uuid7(), "chat", {}, restarted=True)
    error = InvalidRequest("No.")
    with pytest.raises(InvalidRequest):
        async with refusals.watch(call) as progress:
            progress.caller = caller()
            raise error
    await rows.flush()
    assert error.recorded
    assert (await stored(db_thread))[0] == 0


async def test_error__noted_in_several_places__is_counted_once(
    refusals: RefusalTrace,
) -> None:
    call, error = Call(uuid7(), unique("endpoint"), {}), InvalidRequest("No.")
    for _ in range(2):
        await refusals.note(refusals.watch(call), error)
    refusals.note_known(refusals.watch(call), error)
    counter = metrics.REFUSED.labels(call.endpoint, "invalid_request")
    assert (counter._value.get(), error.recorded) == (1, False)


async def replay(replays: IdempotentReplays, who: Principal, **body: Any) -> Call:
    call, stored = Call(uuid7(), "chat", body), Stored(200, {}, b"{}")
    await replays.replay(call, who, Answered(str(uuid7()), stored))
    return call


async def test_replays__of_one_caller__have_rows_up_to_their_number(
    rows: TraceRows, db_thread: DbThread, settings: Any
) -> None:
    settings.REPLAYS_PER_MINUTE = 2
    replays, who = IdempotentReplays(db_thread, rows), caller("abcdefghijkl")
    before = metrics.REPLAYS_DROPPED._value.get()
    first = await replay(replays, who, model="m\0")
    for _ in range(3):
        await replay(replays, who, model=5)
    other = await replay(replays, caller(user="bob"))
    await rows.flush()
    assert metrics.REPLAYS_DROPPED._value.get() - before == 2
    found = await db_thread.run(IdempotentReplay.objects.in_bulk)
    assert len(found) == 3
    row = found[first.id]
    assert (row.customer_id, row.key) == (who.customer_id, who.key)
    assert (row.model, found[other.id].model) == ("m\N{REPLACEMENT CHARACTER}", "")


def test_message__as_long_as_may_be__fits_the_column() -> None:
    column = Refusal._meta.get_field("message")
    assert column.max_length == refusal_rows.LONGEST_MESSAGE
