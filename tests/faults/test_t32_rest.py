"""T32, I8: a load that is over leaves nothing behind; what does is found."""

import asyncio
import random
from collections.abc import Awaitable, Iterator
from functools import partial

import pytest

from tests.faults import rest
from tests.faults.conftest import Stage
from tests.faults.counts import FULL, either
from tests.faults.leaks import LEAKS
from tests.faults.rig import Offer, Rig
from tests.faults.traffic import Client, Cut, Row, arrivals
from tests.faults.web import Web, webs

REQUESTS = either(60, 4_000)
RATE = either(30, 50)


@pytest.fixture(scope="module")
def leaky(stage: Stage) -> Iterator[Web]:
    """A process that leaves behind what it is asked to."""
    env = {**stage.env, "UNGUARDED": "leaks", "REDIS_PREFIX": "leaky"}
    with webs([Web(stage.folder, env, "tests.faults.unguarded:application")]) as made:
        yield made[0]


def one(rig: Rig, client: Client, good: Offer, bad: Offer, kind: int) -> Awaitable[Row]:
    """A stream, a whole answer, a failure, and a client that leaves or gives up."""
    if kind == 2:
        return rig.ask(client, bad, stream=True)
    if kind == 3:
        return rig.ask(client, good, stream=True, cut=Cut(800, reset=True))
    if kind == 4:
        return rig.ask(client, good, give_up_s=0.05)
    return rig.ask(client, good, stream=kind == 1)


async def load(rig: Rig, good: Offer, bad: Offer, dice: random.Random) -> list[Row]:
    kinds = [dice.randrange(5) for _ in range(REQUESTS)]
    async with Client() as client:
        return await arrivals(
            [partial(one, rig, client, good, bad, kind) for kind in kinds], RATE
        )


async def test_load__over__leaves_nothing_behind(rig: Rig) -> None:
    dice = random.Random(32)
    good = rig.provide("drip@5ms:30")
    bad = rig.provide("flaky@50+status-500", "flaky@50+drip@2ms+reset@7", "ok-12")
    # The first load fills what is bounded; the second one must not add to it.
    seen = await load(rig, good, bad, dice)
    before = [await asyncio.to_thread(rest.settled, web) for web in rig.webs]
    seen += await load(rig, good, bad, dice)
    rig.case.inject("disconnect", sum(bool(row.broke) for row in seen))
    rig.case.runs = f"twice {REQUESTS} requests"
    for web, held in zip(rig.webs, before, strict=True):
        await asyncio.to_thread(rest.assert_at_rest, [web], held)
        growth = rest.held(web)["memory"] / held["memory"] - 1
        rig.case.figure("memory", f"{growth:+.1%}")
        assert not FULL or growth <= 0.05
    rig.settled(*(row for row in seen if not row.broke))


@pytest.mark.parametrize("what", LEAKS)
async def test_leak__planted__is_found(rig: Rig, leaky: Web, what: str) -> None:
    """The twin with the guard off: the check after each case can fail."""
    model = rig.provide("ok-12").model
    before = await asyncio.to_thread(rest.warmed, leaky, rig.key, model)
    assert await asyncio.to_thread(rest.at_last, leaky, before) == {}
    rest.held(leaky, f"/_leak/{what}")
    rig.case.inject(f"leak of {what}")
    # It does not go away by itself.
    assert what in await asyncio.to_thread(rest.at_last, leaky, before, 1)
