"""T22: what providers answer with 4xx: the route it takes, and what the breaker makes of it."""

from collections.abc import Awaitable
from typing import Any

import pytest

from llm.breaker.types import Name
from tests.faults.counts import either
from tests.faults.report import milliseconds
from tests.faults.rig import Offer, Rig
from tests.faults.traffic import Client, Row, arrivals

RUNS = either(8, 50)


async def run(rig: Rig, offer: Offer) -> list[Row]:
    """One request alone, from which all can learn, and then the others."""

    def one() -> Awaitable[Row]:
        return rig.ask(client, offer, stream=next(rig.turns) % 2 == 0)

    async with Client() as client:
        return [await one(), *await arrivals([one] * (RUNS - 1), 50)]


async def breaker(rig: Rig, offer: Offer) -> dict[str, Any]:
    """The first route's breaker as /api/llm/health tells it."""
    name = Name(offer.providers[0], offer.upstream[0])
    found = (await rig.health(rig.webs[0]))["providers"]
    return next(
        one for one in found if (one["provider"], one["model"]) == (name.provider, name.model)
    )  # fmt: skip


# Retry-After -> the least and the most milliseconds that the provider is left alone.
WAITS = {
    "1": (0, 1_000),
    "3600": (50_000, 60_000),
    "date:30": (20_000, 30_000),
    "soon,_please": (0, 1_000),
    "-5": (0, 1_000),
}


@pytest.mark.parametrize("wait", WAITS)
async def test_too_many__with_retry_after__is_left_alone_so_long_and_never_opens(
    rig: Rig, wait: str
) -> None:
    offer = rig.provide(f"status-429@{wait}", "ok-12")
    seen = await run(rig, offer)
    assert [row.whole for row in seen] == [True] * RUNS
    asked = rig.reached(offer)
    rig.case.runs = f"{RUNS} requests"
    rig.case.inject(f"429, Retry-After {wait}", asked)
    found = await breaker(rig, offer)
    assert found["breaker"] == "closed"
    least, most = WAITS[wait]
    assert least <= found["throttled_ms"] <= most
    assert most < 2_000 or asked < RUNS
    rig.case.figure("longest", milliseconds((row.took for row in seen), 1))
    rig.settled(*seen)
    assert rig.compare_send_log(*seen) == RUNS


# A key that the provider has revoked, or a bill that is not paid.
OPENS = {"revoked": "auth", "status-402": "billing",
         "status-429:insufficient_quota": "billing"}  # fmt: skip


@pytest.mark.parametrize("behaviour", OPENS)
async def test_key_or_bill__refused__opens_with_its_reason_and_fails_over(
    rig: Rig, behaviour: str
) -> None:
    key = behaviour if behaviour == "revoked" else ""
    offer = rig.provide("ok" if key else behaviour, "ok-12", api_key=(key, ""))
    seen = await run(rig, offer)
    assert [row.whole for row in seen] == [True] * RUNS
    found = await breaker(rig, offer)
    assert (found["breaker"], found["reason"]) == ("open", OPENS[behaviour])
    asked = rig.reached(offer)
    assert asked < RUNS
    rig.case.runs = f"{RUNS} requests"
    rig.case.inject(behaviour, asked)
    rig.settled(*seen)
    assert rig.compare_send_log(*seen) == RUNS


async def test_one_prompt__refused_as_if_the_key_were_bad__keeps_the_route(
    rig: Rig,
) -> None:
    """401 for each prompt of one model, and a key that the provider takes all the same."""
    offer = rig.provide("status-401", "ok-12")
    seen = await run(rig, offer)
    assert [row.whole for row in seen] == [True] * RUNS
    assert (await breaker(rig, offer))["breaker"] == "closed"
    rig.case.runs = f"{RUNS} requests"
    rig.case.inject("401", rig.reached(offer))
    rig.settled(*seen)


@pytest.mark.parametrize("status", [400, 403, 404, 413, 422])
async def test_request__refused_by_the_provider__is_passed_on_and_given_back(
    rig: Rig, status: int
) -> None:
    offer = rig.provide(f"status-{status}", "ok-12")
    seen = await run(rig, offer)
    # A 403 of the provider's would read as a bad key of the caller's.
    assert {row.status for row in seen} == {400 if status == 403 else status}
    assert (rig.reached(offer), rig.reached(offer, 1)) == (RUNS, 0)
    assert (await breaker(rig, offer))["breaker"] == "closed"
    rig.case.runs = f"{RUNS} requests"
    rig.case.inject(str(status), RUNS)
    rig.settled(*seen)
    assert rig.counter() == (0, 0, 0)


@pytest.mark.parametrize("status", [500, 503, 529])
async def test_provider__overloaded__opens_and_fails_over(
    rig: Rig, status: int
) -> None:
    offer = rig.provide(f"status-{status}", "ok-12")
    seen = await run(rig, offer)
    assert [row.whole for row in seen] == [True] * RUNS
    found = await breaker(rig, offer)
    assert found["breaker"] == "open"
    assert found["reason"].endswith(("in a row", "calls failed"))
    rig.case.runs = f"{RUNS} requests"
    rig.case.inject(str(status), rig.reached(offer))
    rig.settled(*seen)
    assert rig.compare_send_log(*seen) == RUNS
