"""T10: 500s at 49, 50 and 51 percent; an outage and its end; both providers out."""

import asyncio
import time
from typing import Any

import pytest
import redis

from llm.breaker.board import redis_key
from llm.breaker.types import Name
from tests.faults.counts import FULL, either
from tests.faults.load import under_load
from tests.faults.report import milliseconds
from tests.faults.rig import Offer, Rig
from tests.faults.traffic import Client, Row, arrivals

RUNS = either(1, 20)
CALLS = either(60, 200)


def fails(percent: int) -> list[bool]:
    """Evenly spread, so that no part of it fails more often than the whole."""
    return [(n + 1) * percent // 100 > n * percent // 100 for n in range(CALLS)]


async def breaker(rig: Rig, offer: Offer, route: int = 0) -> dict[str, Any]:
    name = (offer.providers[route], offer.upstream[route])
    found = (await rig.health(rig.webs[0]))["providers"]
    return next(one for one in found if (one["provider"], one["model"]) == name)


@pytest.mark.parametrize(("percent", "opens"), [(49, False), (50, False), (51, True)])
async def test_breaker__steady_share_of_failures__opens_past_a_half_only(
    rig: Rig, percent: int, opens: bool
) -> None:
    """One process, one call at a time: the window is known at every call."""
    rig.webs = rig.webs[:1]
    opened_at = []
    async with Client() as client:
        for _ in range(RUNS):
            offer = rig.provide("ok-12", "ok-12")
            states = []
            for bad in fails(percent):
                rig.behave(offer, "status-500" if bad else "ok-12")
                assert (await rig.ask(client, offer)).whole
                rig.case.inject("500", int(bad))
                if bad:
                    states.append((await breaker(rig, offer))["breaker"] == "open")
            assert any(states) is opens
            if opens:
                opened_at.append(rig.reached(offer))
    rig.case.runs = f"{RUNS} runs of {CALLS}"
    rig.case.figure("opened after", f"{set(opened_at) or 'never'}")
    rig.settled(*client.rows)


def make_due(rig: Rig, offer: Offer) -> None:
    """Let the open breaker's minute be over."""
    name = Name(offer.providers[0], offer.upstream[0])
    with redis.Redis.from_url(rig.engines.valkey.url) as it:
        it.hset(redis_key("vc", name), "until", 0)


async def test_outage__total_and_over_again__costs_few_errors_and_one_probe(
    rig: Rig,
) -> None:
    offer = rig.provide("status-500")
    count = either(40, 400)

    async def burst(rate: float = 100) -> list[Row]:
        return await arrivals([lambda: rig.ask(client, offer)] * count, rate)

    async with Client() as client:
        # Whoever has passed the breaker before it opens gets its error too.
        out = await burst(rate=either(10, 100))
        rig.case.inject("500", rig.reached(offer))
        seen_by_users = [row for row in out if row.status == 502]
        assert len(seen_by_users) <= 10
        refused = [row for row in out if row.status == 503]
        assert len(refused) == count - len(seen_by_users)
        assert all(int(row.headers["retry-after"]) > 0 for row in refused)
        # The minute is over and it is still out: one probe, by one of the processes.
        before = rig.reached(offer)
        make_due(rig, offer)
        again = await burst()
        assert rig.reached(offer) - before == 1
        assert sum(row.status == 502 for row in again) == 1
        # And once it is back, one probe closes it for both.
        rig.behave(offer, "ok-12")
        make_due(rig, offer)
        await rig.ask(client, offer)
        async with asyncio.timeout(5):
            while (await breaker(rig, offer))["breaker"] != "closed":
                await asyncio.sleep(0.02)
        assert all(row.whole for row in await burst())
    rig.case.figure("errors until open", len(seen_by_users))
    rig.case.figure("503 p50", milliseconds((row.took for row in refused), 0.5))
    rig.case.runs = f"3 bursts of {count}"
    rig.settled(*client.rows)


async def test_outage__for_minutes__costs_no_answer_and_a_probe_a_minute(
    rig: Rig,
) -> None:
    offer = rig.provide("status-500", "ok-12")
    seconds = either(3, 300)
    async with Client() as client:

        async def until(state: str) -> float:
            began = time.monotonic()
            async with asyncio.timeout(90):
                while (await breaker(rig, offer))["breaker"] != state:
                    await asyncio.sleep(0.1)
            return time.monotonic() - began

        async with under_load(lambda: rig.ask(client, offer), 10) as load:
            await until("open")
            before = rig.reached(offer)
            await asyncio.sleep(seconds)
            probes = rig.reached(offer) - before
            rig.case.inject("500", rig.reached(offer))
            rig.behave(offer, "ok-12")
            if not FULL:
                make_due(rig, offer)
            back = await until("closed")
            load.mark("well")
            await asyncio.sleep(1)
    assert [row for row in load.rows if not row.whole] == []
    # A minute less its jitter; one that was on its way when it opened counts too.
    assert probes in (range(4, 8) if FULL else range(3))
    assert not FULL or back <= 65
    well = {row.headers["x-valuecanvas-provider"] for row in load.between("well")}
    assert well == {offer.providers[0]}
    rig.case.runs = f"{len(load.rows)} requests in {seconds} s and more"
    rig.case.figure("probes", probes)
    rig.case.figure("closed after recovery", f"{back:.0f} s")
    rig.settled(*load.rows)


async def test_outage__of_both_providers__is_refused_at_once_and_refunded(
    rig: Rig,
) -> None:
    offer = rig.provide("status-503", "reset@0")
    count = either(40, 400)
    async with Client() as client:
        first = [await rig.ask(client, offer)]
        while first[-1].code != "no_provider_available":
            assert first[-1].status == 502
            assert len(first) < 10
            first.append(await rig.ask(client, offer))
        quick = await arrivals([lambda: rig.ask(client, offer)] * count, rate=100)
    seen = [*first, *quick]
    assert {(row.status, row.code) for row in quick} == {(503, "no_provider_available")}
    assert all(int(row.headers["retry-after"]) > 0 for row in quick)
    rig.case.inject("failure", rig.reached(offer) + rig.reached(offer, 1))
    rig.case.figure("503 p50", milliseconds((row.took for row in quick), 0.5))
    rig.case.figure("503 p99", milliseconds((row.took for row in quick), 0.99))
    rig.case.runs = f"{count} requests"
    rig.settled(*seen)
    assert rig.counter() == (0, 0, 0)
