"""The last unit of a quota is given once, however many ask at the same time."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from billing.ledger import Admitted, Ledger, Party, QuotaRefused
from billing.ledger import ledger as module
from tests.fixtures_ledger import Desk, make_party, make_settle
from tests.invariants import assert_nothing_held, assert_quota_kept
from tests.races.rounds import ROUNDS, Careless
from valuecanvas.core.db.db_thread import DbThread

RUNNERS = 200
Pair = tuple[Ledger, Ledger]


async def race(desk: Desk, pair: Pair, party: Party, quota: int) -> list[Admitted]:
    """The winners among 200 requests, half of them at each ledger."""
    answers = await asyncio.gather(
        *(
            pair[number % 2].put(desk.admit(party, quota=quota))
            for number in range(RUNNERS)
        )
    )
    assert all(isinstance(answer, Admitted | QuotaRefused) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Admitted)]


async def settle(ledger: Ledger, winners: list[Admitted]) -> None:
    await asyncio.gather(*(ledger.put(make_settle(one, 100)) for one in winners))


async def test_quota__200_requests_for_the_last_unit__one_wins(
    desk: Desk, pair: Pair, db_thread: DbThread
) -> None:
    quota = 3
    for _ in range(ROUNDS):
        party = make_party("team", "key")
        for _ in range(quota - 1):
            await settle(pair[0], [await pair[0].put(desk.admit(party, quota=quota))])
        winners = await race(desk, pair, party, quota)
        assert len(winners) == 1
        assert winners[0].used == quota
        await settle(pair[1], winners)
    await db_thread.run(assert_nothing_held)
    await db_thread.run(assert_quota_kept, quota)


async def test_quota__200_requests_of_a_customer_never_seen__one_wins(
    desk: Desk, pair: Pair, db_thread: DbThread
) -> None:
    for _ in range(ROUNDS):
        winners = await race(desk, pair, make_party(), quota=1)
        assert len(winners) == 1
        await settle(pair[0], winners)
    await db_thread.run(assert_nothing_held)
    await db_thread.run(assert_quota_kept, 1)


async def test_quota__checked_and_taken_in_two_transactions__is_seen_to_be_passed(
    desk: Desk, open_ledger: Callable[[], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin with the guard off: the races above can fail."""
    monkeypatch.setattr(module, "BatchWriter", Careless)
    monkeypatch.setattr(Careless, "meeting", threading.Barrier(2), raising=False)
    pair = open_ledger(), open_ledger()
    party = make_party()
    answers = await asyncio.gather(
        *(ledger.put(desk.admit(party, quota=1)) for ledger in pair)
    )
    assert [answer.used for answer in answers] == [1, 1]
