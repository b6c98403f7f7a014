"""S10: how long an answer takes tells nothing of what another tenant has asked."""

import random

import pytest

from tests.faults.counts import either
from tests.faults.traffic import Client, Row
from tests.live.world import World, unique

pytestmark = pytest.mark.live

PAIRS = either(60, 2000)
# Of an area that is 0.5 by chance: five standard deviations of so few pairs.
MOST_APART = either(0.26, 0.03)


def area(one: list[float], other: list[float]) -> float:
    """The share of pairs of which the first is the larger (AUC)."""
    ranked = sorted([(value, True) for value in one] + [(value, False) for value in other])  # fmt: skip
    ranks = sum(rank for rank, (_, first) in enumerate(ranked, 1) if first)
    return (ranks - len(one) * (len(one) + 1) / 2) / (len(one) * len(other))


async def test_time__of_what_another_tenant_asked__is_that_of_what_nobody_asked(
    world: World,
) -> None:
    served = world.serve("ok-12")
    _, other = world.new_customer(daily_requests=1_000_000)
    world.db(lambda: type(world.tier).objects.update(daily_requests=1_000_000))
    dice = random.Random(10)
    asked: list[float] = []
    unasked: list[float] = []
    async with Client() as client:
        for _ in range(PAIRS):
            pair = [(unique("Is this known?"), known) for known in (True, False)]
            stored = await client.chat(world.url, world.key, served.model, text=pair[0][0])  # fmt: skip
            assert stored.whole
            dice.shuffle(pair)
            for text, known in pair:
                row = await client.chat(world.url, other, served.model, text=text)
                assert row.headers["x-valuecanvas-cache"] == "miss"
                (asked if known else unasked).append(row.took)
        # The twin: who asked it themselves gets it sooner, so the measure can tell. In
        # pairs, as the machine's other work comes and goes.
        mine: list[tuple[Row, Row]] = []
        for text in (unique("Mine") for _ in range(PAIRS)):
            first = await client.chat(world.url, other, served.model, text=text)
            again = await client.chat(world.url, other, served.model, text=text)
            mine.append((first, again))
    assert abs(area(asked, unasked) - 0.5) <= MOST_APART
    hits = [pair for pair in mine if pair[1].headers["x-valuecanvas-cache"] == "hit"]
    sooner = sum(again.took < first.took for first, again in hits)
    assert sooner > 0.6 * len(hits) > 0
