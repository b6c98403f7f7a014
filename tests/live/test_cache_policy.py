"""Which requests the cache answers: by what they ask for, the model and the key."""

import asyncio
from typing import Any

import pytest

from tests.live.party import Party
from tests.live.shared import how, offered
from tests.live.world import World

pytestmark = pytest.mark.live


@pytest.mark.parametrize("variety", [{"temperature": 0.7}, {"n": 2}])
@pytest.mark.parametrize(
    ("model", "api_key", "found"),
    [
        ("auto", "auto", ["bypass", "bypass"]),
        ("always", "auto", ["miss", "hit"]),
        ("auto", "always", ["miss", "hit"]),
        ("always", "never", ["bypass", "bypass"]),
    ],
)
def test_variety__asked_for__is_answered_anew_unless_the_policy_says_otherwise(
    world: World, variety: dict[str, Any], model: str, api_key: str, found: list[str]
) -> None:
    key = world.new_key(cache_policy=api_key)
    with offered(world, cache_policy=model) as offer:
        assert [how(offer.ask(key=key, **variety)) for _ in "12"] == found
        assert offer.calls == found.count("bypass") + found.count("miss")


async def test_variety__asked_for_at_the_same_time__is_two_calls(
    party: Party,
) -> None:
    asked = [party.ask(party.left, temperature=1, stream=True) for _ in "12"]
    for number in (1, 2):
        await (await party.faucet.call(number)).answer("Hello.")
    assert [how(one) for one in await asyncio.gather(*asked)] == ["bypass"] * 2
