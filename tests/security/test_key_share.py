"""S25: one key cannot take more than its share, and others are served meanwhile."""

import asyncio
from functools import partial

import pytest

from tests.faults.traffic import Client, at_once
from tests.live.world import World, unique

pytestmark = pytest.mark.live

SHARE = 3
CALLS = 40


async def test_key__with_a_limit_at_once__is_refused_past_it_and_others_go_on(
    world: World,
) -> None:
    slow = unique("upstream")
    world.demo.override(slow, "slow@1s+drip@1s:600")
    held = world.serve_at((world.demo.url, slow)).model
    quick = world.serve("ok").model
    _, greedy = world.new_customer(daily_requests=1000, concurrent_requests=SHARE)
    async with Client() as client:
        ask = partial(client.chat, world.url, greedy, held, stream=True)
        taking = [asyncio.create_task(ask(text=unique("Hold"))) for _ in range(SHARE)]
        async with asyncio.timeout(60):
            while world.demo.stats().get(slow, {}).get("in_flight", 0) < SHARE:
                await asyncio.sleep(0.02)
        more = [partial(ask, text=unique("More")) for _ in range(CALLS)]
        refused = await at_once(more)
        assert {row.status for row in refused} == {429}
        others = [
            partial(client.chat, world.url, world.key, quick, text=unique("Other"))
            for _ in range(CALLS)
        ]
        assert {row.status for row in await at_once(others)} == {200}
        assert world.demo.stats()[slow]["requests"] == SHARE
        for task in taking:
            task.cancel()
        await asyncio.gather(*taking, return_exceptions=True)
