"""Two ledgers settle over the same scopes in opposite order: nothing is lost."""

import asyncio
import random

from billing.accounting.purge import purge
from billing.ledger import Ledger, Party
from tests.fixtures_ledger import Desk, make_party, make_settle
from tests.invariants import assert_nothing_held, rows
from tests.races.rounds import ROUNDS
from valuecanvas.core.db.db_thread import DbThread

SETTLES = 20 * ROUNDS


def make_parties() -> list[Party]:
    """Customers whose teams and keys overlap crosswise: four shared scopes."""
    return [make_party(f"team-{n % 2}", f"key-{n // 2 % 2}") for n in range(40)]


async def test_settle__opposite_order_over_shared_scopes__loses_nothing(
    desk: Desk, pair: tuple[Ledger, Ledger], db_thread: DbThread
) -> None:
    dice = random.Random(7)
    parties = make_parties()
    billed = 0
    for _ in range(10):
        held = await asyncio.gather(
            *(
                pair[n % 2].put(desk.admit(parties[n % len(parties)], quota=10**9))
                for n in range(SETTLES // 10)
            )
        )
        costs = [dice.randint(0, 100) for _ in held]
        billed += sum(costs)
        items = [make_settle(x, cost) for x, cost in zip(held, costs, strict=True)]
        crossed = zip(items, reversed(items), strict=True)
        # Each is settled twice, once by each ledger, in opposite order.
        answers = await asyncio.gather(
            *(
                ledger.put(item)
                for both in crossed
                for ledger, item in zip(pair, both, strict=True)
            ),
            db_thread.run(purge),
        )
        assert sum(answer.first for answer in answers[:-1]) == len(items)
    await db_thread.run(assert_nothing_held)
    ledger_sum = "SELECT count(*), sum(cost_usd) * 1000000 FROM llm_usage"
    assert await db_thread.run(rows, ledger_sum) == [(SETTLES, billed)]
    assert pair[0].healthy
    assert pair[1].healthy
