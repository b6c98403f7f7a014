"""A batch that fails: split, never in the way of others, and nothing is lost."""

import asyncio
from types import SimpleNamespace

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import errors

from tests.core.broken_desk import BrokenDesk, Thing, outcomes, serving
from valuecanvas.core.db import commit_retries
from valuecanvas.core.db.commit_retries import CommitRetries, Waiting
from valuecanvas.core.db.group_commit import BatchUnavailable


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_retries, "BACKOFF", (0.001,))


def slow(name: str, weight: int = 100, **fields: object) -> Thing:
    """Settled only without its answer: with it the statement always times out."""
    return Thing(name, True, errors.QueryCanceled, weight=weight, lighter_helps=True)


async def test_failed_batch__statement_timeout__is_split_and_lands_without_the_answer() -> (
    None
):
    desk = BrokenDesk()
    async with serving(desk) as group:
        things = [Thing(str(n)) for n in range(20)]
        assert await outcomes(group, slow("heavy"), *things) == [
            "heavy",
            *(str(n) for n in range(20)),
        ]
    sizes = [len(names) for names in desk.tries if "heavy" in names]
    halves = zip(sizes, sizes[1:], strict=False)
    assert all(after <= max(1, before // 2) for before, after in halves)
    assert sizes[-1] == 1


async def test_failed_batch__one_that_never_lands__stands_before_nobody() -> None:
    desk = BrokenDesk(takes_writes=False)
    async with serving(desk) as group:
        stuck = group.submit(Thing("stuck", error=errors.LockNotAvailable))
        for number in range(20):
            fresh = Thing(str(number), must_commit=number % 2 == 0)
            assert await group.put(fresh) == str(number)
        assert not stuck.done()
    # But for the first time, when nobody knew.
    tries = [names for names in desk.tries if "stuck" in names]
    assert all(names == ["stuck"] for names in tries[1:])


async def test_batch__heavy_items__are_bounded_in_bytes_but_for_a_single_one() -> None:
    desk = BrokenDesk()
    weights = [10, 40, 60, 99, 100, 101, 5, 300, 1, 1]
    things = [Thing(str(n), weight=weight) for n, weight in enumerate(weights)]
    async with serving(desk, max_bytes=100) as group:
        await outcomes(group, *things)
    assert desk.landed == [thing.name for thing in things]
    tried = zip(desk.weights, desk.tries, strict=True)
    assert all(weight <= 100 or len(names) == 1 for weight, names in tried)


async def test_heavy_one_to_blame__others_as_heavy__are_not_even_tried() -> None:
    desk = BrokenDesk()
    async with serving(desk, max_bytes=100) as group:
        await group.submit(slow("first", 100))
        tries = len(desk.tries)
        assert await outcomes(group, slow("as heavy"), slow("heavier", 200)) == [
            "as heavy",
            "heavier",
        ]
        assert desk.weights[tries:] == [0] * len(desk.weights[tries:])
        await group.submit(slow("lighter", 90))
        assert desk.failed["lighter"] == 2
        # Only for a while: the database may be quicker by then.
        group._reduction._wary_until = 0.0
        await group.submit(Thing("later", weight=100))
        assert desk.weights[-1] == 100


async def test_alone__state_of_the_database__keeps_all_of_it_until_it_lands() -> None:
    """Nothing is left out for a database that takes nobody's writes."""
    desk = BrokenDesk(takes_writes=False)
    away = Thing("a", error=errors.QueryCanceled, times=5, weight=9)
    locked = Thing("b", error=errors.LockNotAvailable, times=5, weight=9)
    async with serving(desk) as group:
        assert await group.put(away) == "a"
        desk.takes_writes = True
        assert await group.put(locked) == "b"
        assert desk.weights[-1] == 9


async def test_alone__internal_error_of_its_own__lands_in_plainer_words() -> None:
    desk = BrokenDesk()
    odd = Thing("odd", error=errors.InternalError_, plainer_helps=True)
    async with serving(desk) as group:
        assert await group.put(odd) == "odd"


async def test_row_at_fault__in_every_form__is_told_and_takes_no_other_with_it() -> (
    None
):
    desk = BrokenDesk()
    bad = Thing("bad", error=errors.NotNullViolation)
    async with serving(desk) as group:
        good = [Thing(str(n), must_commit=n % 2 == 0) for n in range(9)]
        *answers, error = await outcomes(group, *good, bad)
    assert answers == [thing.name for thing in good]
    assert isinstance(error, errors.NotNullViolation)


ERRORS = st.sampled_from(
    [
        errors.QueryCanceled,
        errors.DiskFull,
        errors.InternalError_,
        errors.StatementTooComplex,
        errors.NumericValueOutOfRange,
        lambda: psycopg.OperationalError("lost"),
        lambda: TypeError("not JSON"),
        lambda: SystemExit("thread"),
        MemoryError,
    ]
)
THINGS = st.builds(
    Thing,
    name=st.integers(0, 10**9).map(str),
    must_commit=st.booleans(),
    error=st.none() | ERRORS,
    times=st.integers(1, 4),
    weight=st.sampled_from([0, 0, 0, 40, 120]),
    lighter_helps=st.booleans(),
    plainer_helps=st.booleans(),
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(things=st.lists(THINGS, max_size=12, unique_by=lambda thing: thing.name))
def test_batches__whatever_fails_for_a_while__everybody_is_answered(
    things: list[Thing],
) -> None:
    """What must land lands, unless it is itself to blame; of others nothing is left."""
    desk = BrokenDesk()

    async def ask() -> list[object]:
        async with serving(desk, size=5, max_bytes=100) as group, asyncio.timeout(60):
            return await outcomes(group, *things)

    for thing, answer in zip(things, asyncio.run(ask()), strict=True):
        if answer == thing.name:
            assert desk.landed.count(thing.name) >= 1
        elif thing.must_commit:
            # Given up: it fails in every form.
            assert isinstance(answer, psycopg.DataError | TypeError | BaseException)
            assert not isinstance(answer, BatchUnavailable | psycopg.OperationalError)
            assert thing.error is not None


# The line of what is tried again


def line(*weights: int) -> CommitRetries[int]:
    retries: CommitRetries[int] = CommitRetries(8, 100, lambda weight: weight)
    loop = asyncio.new_event_loop()
    for weight in weights:
        retries.add(Waiting(weight, loop.create_future(), 0.0))
    loop.close()
    return retries


def test_retries__failed_together__come_in_halves() -> None:
    retries = line(*[0] * 20)
    for waiting in [*retries._line][2:12]:
        waiting.max_batch = 5
    assert [len(retries.take()) for _ in range(5)] == [5, 5, 5, 5, 0]


def test_retries__heavy_ones__go_alone() -> None:
    retries = line(1, 1, 50, 1, 60)
    groups = [[one.item for one in retries.take()] for _ in range(4)]
    assert groups == [[1, 1], [50], [1], [60]]
    assert retries.take() == []


def test_retries__try_that_took_long__leaves_the_locks_to_others_for_twice_as_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr("valuecanvas.core.db.commit_retries.time", clock)
    retries = line(0)
    retries.record_failure(2.0, again=True)
    assert retries.wait_s == 4.0
    assert retries.take() == []
    # Who fails for the first time meanwhile delays nobody.
    retries.record_failure(9.0, again=False)
    assert retries.wait_s == 4.0
