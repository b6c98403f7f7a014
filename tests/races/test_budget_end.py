"""Near the end of a budget: not a micro-dollar over it, and nobody refused who fits."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from billing.ledger import Admitted, BudgetRefused, Ledger, Limit, Party
from billing.ledger import ledger as module
from billing.ledger.connection import connect
from tests.fixtures_ledger import Desk, make_party, make_settle
from tests.invariants import assert_books_balance, assert_nothing_held, total
from tests.races.rounds import ROUNDS, Careless
from valuecanvas.core.db.db_thread import DbThread

RUNNERS = 200
Pair = tuple[Ledger, Ledger]
SAMPLE = "SELECT key, spent + reserved FROM billing_counter"


class Sampler:
    """Reads the counters all the time on a connection of its own."""

    def __init__(self) -> None:
        self.most: dict[str, int] = {}
        self.samples = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        with connect() as connection:
            while not self._end.is_set():
                self._sample(connection)
                time.sleep(0.002)
            self._sample(connection)

    def _sample(self, connection: psycopg.Connection) -> None:
        for key, amount in connection.execute(SAMPLE).fetchall():
            scope = key[:-11]
            self.most[scope] = max(self.most.get(scope, 0), amount)
        self.samples += 1


@pytest.fixture
def sampler() -> Iterator[Sampler]:
    with Sampler() as running:
        yield running


def make_limits(party: Party, number: int, by_all: int) -> tuple[Limit, ...]:
    """One limit a scope; each round another scope has the least left.

    `by_all` is what earlier rounds have spent of the global one.
    """
    amounts = [40_000, 30_000, 20_000, 10_000]
    scopes = [*party.scopes[2:], *party.scopes[:2]]
    turned = [scopes[(index + number) % 4] for index in range(4)]
    return tuple(
        Limit(scope, "day", amount + (by_all if scope == "g:" else 0))
        for scope, amount in zip(turned, amounts, strict=True)
    )


async def one(ledger: Ledger, desk: Desk, party: Party, limits: tuple[Limit, ...], cost: int) -> Admitted | BudgetRefused:  # fmt: skip
    answer: Admitted | BudgetRefused
    answer = await ledger.put(desk.admit(party, limits=limits, estimate=cost))
    if isinstance(answer, BudgetRefused):
        # I5's other half: a refused request did not fit when it was decided.
        assert answer.spent + answer.reserved + cost > answer.limit.micros
    return answer


async def test_budgets__200_requests_of_mixed_cost_near_the_end__never_pass_it(
    desk: Desk, pair: Pair, sampler: Sampler, db_thread: DbThread
) -> None:
    dice = random.Random(20_26)
    tops: dict[str, int] = {}
    for number in range(max(1, ROUNDS // 10)):
        party = make_party(f"team-{number}", f"key-{number}")
        by_all = await db_thread.run(total, "g:")
        limits = make_limits(party, number, by_all)
        tops |= {limit.scope: limit.micros for limit in limits}
        costs = [dice.randint(1, 500) for _ in range(RUNNERS)]
        answers = await asyncio.gather(
            *(one(dice.choice(pair), desk, party, limits, cost) for cost in costs)
        )
        admitted = [answer for answer in answers if isinstance(answer, Admitted)]
        least = 10_000
        # 200 requests of 250 on average want five times of what the least has.
        assert sum(answer.estimate for answer in admitted) > least - 500
        assert len(admitted) < RUNNERS
        await asyncio.gather(
            *(
                dice.choice(pair).put(make_settle(x, dice.randint(0, 2 * x.estimate)))
                for x in admitted
            )
        )
    await db_thread.run(assert_nothing_held)
    assert sampler.samples > 0
    over = {s: m for s, m in sampler.most.items() if m > tops.get(s, m)}
    assert over == {}


async def test_budgets__settled_while_others_ask__nobody_who_fits_is_refused(
    desk: Desk, pair: Pair, db_thread: DbThread
) -> None:
    """Exactly as many as fit are admitted, in whatever order they come."""
    for number in range(ROUNDS):
        party = make_party("shared", f"key-{number}")
        limits = (Limit(f"k:{party.key}", "day", 700), Limit("t:shared", "day", 10**12))
        answers = await asyncio.gather(
            *(one(pair[n % 2], desk, party, limits, 100) for n in range(20))
        )
        admitted = [answer for answer in answers if isinstance(answer, Admitted)]
        assert len(admitted) == 7
        await asyncio.gather(*(pair[0].put(make_settle(x, 50)) for x in admitted))
        again = await asyncio.gather(
            *(one(pair[n % 2], desk, party, limits, 100) for n in range(20))
        )
        assert sum(isinstance(answer, Admitted) for answer in again) == 3
    await db_thread.run(assert_books_balance)


async def test_budgets__global_limit_shared_by_all__is_never_passed(
    desk: Desk, pair: Pair, db_thread: DbThread
) -> None:
    everyone = (Limit("g:", "day", 100_050),)
    answers = await asyncio.gather(
        *(one(pair[n % 2], desk, make_party(), everyone, 1000) for n in range(RUNNERS))
    )
    admitted = [answer for answer in answers if isinstance(answer, Admitted)]
    assert len(admitted) == 100
    await asyncio.gather(*(pair[1].put(make_settle(x, 5000)) for x in admitted))
    assert await db_thread.run(total, "g:") == 100_050
    await db_thread.run(assert_nothing_held)


async def test_budgets__checked_and_taken_in_two_transactions__are_seen_to_be_passed(
    desk: Desk,
    open_ledger: Callable[[], Ledger],
    db_thread: DbThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The twin with the guard off: the tests above can fail."""
    monkeypatch.setattr(module, "BatchWriter", Careless)
    monkeypatch.setattr(Careless, "meeting", threading.Barrier(2), raising=False)
    pair = open_ledger(), open_ledger()
    party = make_party()
    limits = (Limit(party.scopes[0], "day", 150),)
    answers = await asyncio.gather(
        *(one(ledger, desk, party, limits, 100) for ledger in pair)
    )
    assert all(isinstance(answer, Admitted) for answer in answers)
    assert await db_thread.run(total, party.scopes[0]) == 200
