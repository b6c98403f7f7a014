"""T15, T16: the last unit of a quota and the end of a budget, asked for all at once."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import psycopg
import pytest

from billing.models import Budget, Counter, Tier
from tests.faults.conftest import Stage
from tests.faults.counts import FULL, either
from tests.faults.rig import PATIENCE_S, Offer, Rig
from tests.faults.traffic import Client, Row, at_once
from tests.faults.web import Web, webs
from tests.fixtures_billing import make_api_key, make_budget, make_customer, make_team
from tests.live.world import unique
from valuecanvas.core import money

ROUNDS = either(2, 100)
RUNNERS = either(60, 200)
REFUSALS = frozenset({"insufficient_quota", "budget_exceeded"})
# A twin needs the right moment: in small it may try so often.
TRIES = either(20, ROUNDS)
# Without the locks' order the twins run into deadlocks too.
CARELESS = REFUSALS | {"ledger_unavailable"}
SAMPLE = "SELECT key, spent + reserved FROM billing_counter"


@pytest.fixture(scope="module", autouse=True)
def _patient(stage: Stage) -> Iterator[None]:
    """However busy the machine is, the ledger decides: nobody is refused for want of it."""
    for web in stage.webs:
        assert web.status("/_patience/on") == 200
    yield
    for web in stage.webs:
        assert web.status("/_patience/off") == 200


@pytest.fixture(scope="module")
def careless(stage: Stage) -> Iterator[list[Web]]:
    """The twin without the guard: counters are checked, and later taken from."""
    env = {**stage.env, "UNGUARDED": "lock", "REDIS_PREFIX": "careless"}
    door = "tests.faults.unguarded:application"
    with webs([Web(stage.folder, env, door), Web(stage.folder, env, door)]) as running:
        yield running


async def race(
    rig: Rig,
    client: Client,
    offer: Offer,
    key: str,
    refusals: frozenset[str] = REFUSALS,
    **options: Any,
) -> list[Row]:
    """The winners of one round; all others are refused, and say why."""
    seen = await at_once(
        [
            partial(rig.ask, client, offer, key, stream=n % 2 == 0, **options)
            for n in range(RUNNERS)
        ]
    )
    won = [row for row in seen if row.whole]
    lost = [row for row in seen if not row.whole]
    assert {row.code for row in lost} <= refusals
    final = [row for row in lost if row.code in REFUSALS]
    assert all(row.status == 429 for row in final)
    assert all(row.headers["x-should-retry"] == "false" for row in final)
    rig.case.inject("parallel request", RUNNERS)
    return won


async def test_quota__all_ask_for_the_last_unit__one_gets_it(rig: Rig) -> None:
    offer = rig.provide("ok-12")
    async with Client() as client:
        for _ in range(ROUNDS):
            customer, key = rig.new_customer(daily_requests=3)
            for _ in range(2):
                assert (await rig.ask(client, offer, key)).whole
            won = await race(rig, client, offer, key)
            assert len(won) == 1
            assert rig.counter(customer)[0] == 3
    rig.case.runs = f"{ROUNDS} rounds of {RUNNERS}"
    assert rig.reached(offer) == 3 * ROUNDS
    rig.settled(*client.rows)


async def test_quota__all_ask_for_a_user_never_seen__one_gets_it(rig: Rig) -> None:
    offer = rig.provide("ok-12")
    free = {"name": "Free", "daily_requests": 1}
    rig.db(Tier.objects.update_or_create, key="free", defaults=free)
    key = rig.new_key(scopes=["llm", "act_as", "bill_user"])
    async with Client() as client:
        for _ in range(ROUNDS):
            won = await race(rig, client, offer, key, user=unique("first-seen"))
            assert len(won) == 1
    rig.case.runs = f"{ROUNDS} rounds of {RUNNERS}"
    assert rig.reached(offer) == ROUNDS
    rig.settled(*client.rows)


async def test_quota__without_the_lock__is_seen_to_be_passed(
    rig: Rig, careless: list[Web]
) -> None:
    """The twin with the guard off: the races above can fail."""
    rig.webs = careless
    offer = rig.provide("ok-12")
    won = []
    async with Client() as client:
        for _ in range(TRIES):
            _, key = rig.new_customer(daily_requests=1)
            won.append(len(await race(rig, client, offer, key, CARELESS)))
            if not FULL and max(won) > 1:
                break
    rig.case.runs = f"{len(won)} rounds of {RUNNERS}"
    rig.case.figure("most winners", max(won))
    assert max(won) > 1
    # Even so, what was admitted is billed and counted.
    rig.settled(*client.rows)


class Sampler:
    """The most that each scope ever had spent and reserved (I5)."""

    def __init__(self) -> None:
        self.most: dict[str, int] = {}
        self.samples = 0

    async def watch(self, url: str) -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as it:
            while True:
                for key, amount in await (await it.execute(SAMPLE)).fetchall():
                    self.most[key[:-11]] = max(self.most.get(key[:-11], 0), amount)
                self.samples += 1
                await asyncio.sleep(0.02)

    async def again(self) -> None:
        """Return once it has looked anew."""
        wanted = self.samples + 2
        async with asyncio.timeout(PATIENCE_S):
            while self.samples < wanted:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def sampling(rig: Rig) -> AsyncIterator[Sampler]:
    sampler = Sampler()
    task = asyncio.create_task(sampler.watch(rig.engines.postgres.url))
    try:
        yield sampler
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


SCOPES = ["key", "customer", "team", "global"]
LIMIT = 60_000  # micro-dollars


@pytest.mark.parametrize("scope", SCOPES)
async def test_budget__all_ask_near_its_end__is_never_passed(
    rig: Rig, scope: str
) -> None:
    dice = random.Random(16)
    offer = rig.provide("ok-40", prices=("100",))
    async with Client() as client, sampling(rig) as sampler:
        for _ in range(max(1, ROUNDS // 10)):
            team = rig.db(make_team)
            customer = rig.db(make_customer, tier=rig.tier, team=team)
            row, key = rig.db(make_api_key, customer)
            spent = rig.db(_spent_by_all) if scope == "global" else 0
            target = {"key": row, "customer": customer, "team": team}.get(scope)
            limit = str(money.to_usd(LIMIT + spent))
            budget = rig.db(make_budget, target, limit=limit)
            before = rig.reached(offer)
            won = await race(rig, client, offer, key, max_tokens=dice.randint(5, 60))
            assert 0 < len(won) < RUNNERS
            assert rig.reached(offer) - before == len(won)
            name = {
                "key": f"k:{row.prefix}",
                "customer": f"c:{customer.pk}",
                "team": f"t:{team.pk}",
                "global": "g:",
            }[scope]
            rig.settled()
            await sampler.again()
            assert sampler.most[name] <= LIMIT + spent
            assert sampler.most[name] > spent
            rig.db(budget.delete)
    assert sampler.samples > 0
    rig.case.runs = f"{max(1, ROUNDS // 10)} rounds of {RUNNERS}"
    rig.case.figure("samples", sampler.samples)
    rig.settled(*client.rows)


def _spent_by_all() -> int:
    rows = Counter.objects.filter(scope="g").values_list("spent", "reserved")
    return sum(spent + reserved for spent, reserved in rows)


async def test_budget__without_the_lock__is_seen_to_be_passed(
    rig: Rig, careless: list[Web]
) -> None:
    """The twin with the guard off: the races above can fail."""
    rig.webs = careless
    offer = rig.provide("ok-40", prices=("100",))
    over = rounds = 0
    async with Client() as client:
        while rounds < TRIES and (FULL or not over):
            rounds += 1
            customer, key = rig.new_customer(daily_requests=1000)
            rig.db(make_budget, customer, limit=str(money.to_usd(LIMIT)))
            async with sampling(rig) as sampler:
                await race(rig, client, offer, key, CARELESS, max_tokens=30)
                await sampler.again()
            over += sampler.most[f"c:{customer.pk}"] > LIMIT
    rig.case.runs = f"{rounds} rounds of {RUNNERS}"
    rig.case.figure("rounds over the limit", over)
    assert over > 0
    rig.settled(*client.rows)
    rig.db(Budget.objects.all().delete)
