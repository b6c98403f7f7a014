"""An admission of any kind whose commit nobody heard of is given back, exactly once."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from billing.accounting import reconcile
from billing.ledger import Admit, Admitted, Claim, Hit, Ledger, Peek, Stored
from billing.ledger import ledger as module
from billing.ledger.types import Answer, Item, Unhit
from billing.models import IdempotencyKey, Usage
from tests.fixtures_ledger import Desk, make_party
from tests.invariants import assert_nothing_held, rows
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.db.group_commit import BatchUnavailable

CLAIM = Claim("c" * 64, "f" * 64)
ANSWER = Stored(200, {}, b"Hello.")
USED = "SELECT sum(used) FROM billing_counter WHERE scope = %s"


class Unheard(module.BatchWriter):
    """Commits and then loses the connection, so many times."""

    times = 1

    def commit(
        self, connection: psycopg.Connection, items: Sequence[Item]
    ) -> list[Answer]:
        answers = super().commit(connection, items)
        if Unheard.times and not all(isinstance(item, Peek) for item in items):
            Unheard.times -= 1
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return answers


@pytest.fixture
def unheard(
    monkeypatch: pytest.MonkeyPatch, open_ledger: Callable[[], Ledger]
) -> Callable[[int], Ledger]:
    def lose(times: int) -> Ledger:
        monkeypatch.setattr(module, "BatchWriter", Unheard)
        monkeypatch.setattr(Unheard, "times", times)
        return open_ledger()

    return lose


def kinds(desk: Desk) -> dict[str, Callable[..., Admit | Hit]]:
    return {
        "hit": desk.hit,
        "hit with a key": lambda party, **f: desk.hit(
            party, claim=CLAIM, answer=ANSWER, **f
        ),
        "call": desk.admit,
        "call with a key": lambda party, **f: desk.admit(party, claim=CLAIM, **f),
        "follower": lambda party, **f: desk.admit(party, estimate=0, **f),
    }


@pytest.mark.parametrize("lost", [1, 2, 3])
@pytest.mark.parametrize(
    "kind", ["hit", "hit with a key", "call", "call with a key", "follower"]
)
async def test_undo__each_kind_of_admission__gives_its_unit_back_once(
    desk: Desk,
    unheard: Callable[[int], Ledger],
    db_thread: DbThread,
    kind: str,
    lost: int,
) -> None:
    """Also where the answers of the undoing commits are lost."""
    make, party = kinds(desk)[kind], make_party("blue", "k")
    ledger = unheard(lost)
    with pytest.raises(BatchUnavailable):
        await ledger.put(make(party))
    async with asyncio.timeout(60):
        while await db_thread.run(rows, USED, "c") != [(0,)]:
            await asyncio.sleep(0.01)
        while ledger.depth or Unheard.times:
            await asyncio.sleep(0.01)
    again = make(party, quota=1)
    assert isinstance(await ledger.put(again), Admitted)
    if isinstance(again, Hit):
        await db_thread.run(assert_nothing_held)
    for scope in "gctk":
        assert await db_thread.run(rows, USED, scope) == [(1,)]
    report = await db_thread.run(reconcile.check)
    assert report.ok, report.findings


async def test_undo__fifteen_hits_in_one_commit__are_corrected_in_the_ledger(
    desk: Desk, unheard: Callable[[int], Ledger], db_thread: DbThread
) -> None:
    party, ledger = make_party(), unheard(1)
    asked = [ledger.put(desk.hit(party, quota=15)) for _ in range(15)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, BatchUnavailable)]
    assert refused
    async with asyncio.timeout(60):
        while await db_thread.run(rows, USED, "c") != [(15 - len(refused),)]:
            await asyncio.sleep(0.01)

    def look() -> list[Any]:
        assert_nothing_held()
        return list(Usage.objects.filter(status="correction"))

    for row in await db_thread.run(look):
        assert (row.marks, row.saved_usd * 1_000_000) == (["refunded"], -40)
        assert row.corrects is not None


async def test_undo__hit_that_was_never_committed__changes_nothing(
    desk: Desk, ledger: Ledger, db_thread: DbThread
) -> None:
    party = make_party()
    admitted = await ledger.put(desk.hit(party))
    never = module.undo(desk.hit(party), admitted.day)
    assert isinstance(never, Unhit)
    await ledger.put(never)
    assert await db_thread.run(rows, USED, "c") == [(1,)]
    await db_thread.run(assert_nothing_held)


async def test_undo__hit_that_took_no_unit__is_left_alone(
    desk: Desk, ledger: Ledger
) -> None:
    free = desk.hit()
    free = replace(free, charge=replace(free.charge, refund=True))
    admitted = await ledger.put(free)
    assert module.undo(free, admitted.day) is None


@pytest.mark.parametrize("kind", ["hit", "hit with a key"])
async def test_undo__caller_of_a_hit_has_gone__gives_unit_and_key_back(
    desk: Desk, ledger: Ledger, db_thread: DbThread, kind: str
) -> None:
    asked = asyncio.ensure_future(ledger.put(kinds(desk)[kind](make_party())))
    await asyncio.sleep(0)
    asked.cancel()
    async with asyncio.timeout(60):
        while not await db_thread.run(Usage.objects.filter(status="correction").count):
            await asyncio.sleep(0.01)
    assert await db_thread.run(rows, USED, "c") == [(0,)]
    assert await db_thread.run(IdempotencyKey.objects.count) == 0
    await db_thread.run(assert_nothing_held)
