"""T4, T6: Redis dies, forgets, is full, or freezes: money and quota do not notice."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import redis

from tests.faults.counts import FULL, either
from tests.faults.load import Load, off_loop, under_load
from tests.faults.report import milliseconds
from tests.faults.rig import QUOTA, Offer, Rig
from tests.faults.traffic import Client, Row
from tests.invariants import assert_quota_kept

RATE = either(15, 50)
DOWN_S = either(2, 10)
FROZEN_S = either(3, 30)
BEFORE_S = either(1, 5)
# Redis answers within this, or the operation counts as failed.
OPERATION_S = 0.1
SLOW_ROUNDS = 5


def mixed(rig: Rig, client: Client, offer: Offer) -> Callable[[], Awaitable[Row]]:
    """Half of the requests are streams."""
    return lambda: rig.ask(client, offer, stream=next(rig.turns) % 2 == 0)


async def recovered(rig: Rig) -> None:
    """Until both processes use Redis again, by themselves."""
    async with asyncio.timeout(30):
        for web in rig.webs:
            while (await rig.health(web))["cache"]["redis"] != "up":
                await asyncio.sleep(0.05)


def judge(rig: Rig, load: Load, offer: Offer) -> None:
    """No violation of money or quota, and hardly an error."""
    bad = [row for row in load.between("broken") if not row.whole]
    assert len(bad) <= 0.005 * len(load.between("broken")), bad
    assert [row for row in load.between("well") if not row.whole] == []
    rig.case.runs = f"{len(load.rows)} requests at {RATE}/s"
    rig.case.figure("not answered", len(bad))
    longest = [row.took for row in load.between("broken", "well")]
    rig.case.figure("longest while broken", milliseconds(longest, 1))
    rig.settled(*load.rows)
    assert rig.compare_send_log(*load.rows) == len(load.rows) - len(bad)
    assert rig.counter()[0] == len(load.rows)
    rig.db(assert_quota_kept, QUOTA)
    assert rig.reached(offer) == len(load.rows)


def store(rig: Rig) -> redis.Redis:
    return redis.Redis.from_url(rig.engines.valkey.url)


async def test_redis__killed_and_started_empty__costs_no_money_and_no_answer(
    rig: Rig,
) -> None:
    offer = rig.provide("ok-12")
    async with Client() as client, under_load(mixed(rig, client, offer), RATE) as load:
        await asyncio.sleep(BEFORE_S)
        load.mark("broken")
        await off_loop(rig.pool, rig.engines.kill_valkey)
        rig.case.inject("kill -9")
        await asyncio.sleep(DOWN_S)
        await off_loop(rig.pool, rig.engines.start_valkey)
        await recovered(rig)
        load.mark("well")
        await asyncio.sleep(BEFORE_S)
    judge(rig, load, offer)


async def test_redis__flushed__costs_no_money_and_no_answer(rig: Rig) -> None:
    offer = rig.provide("ok-12")
    async with Client() as client, under_load(mixed(rig, client, offer), RATE) as load:
        await asyncio.sleep(BEFORE_S)
        load.mark("broken")
        with store(rig) as it:
            for _ in range(either(3, 10)):
                it.flushall()
                it.script_flush()
                rig.case.inject("FLUSHALL and SCRIPT FLUSH")
                await asyncio.sleep(0.3)
        load.mark("well")
        await asyncio.sleep(BEFORE_S)
    judge(rig, load, offer)


async def test_redis__full__costs_no_money_and_no_answer(rig: Rig) -> None:
    offer = rig.provide("ok-12")
    with store(rig) as it:
        before = it.config_get("maxmemory")["maxmemory"]
        try:
            async with (
                Client() as client,
                under_load(mixed(rig, client, offer), RATE) as load,
            ):
                await asyncio.sleep(BEFORE_S)
                load.mark("broken")
                it.config_set("maxmemory", "1")
                with pytest.raises(redis.ResponseError, match="maxmemory"):
                    it.set("faults:probe", "x")
                rig.case.inject("maxmemory full")
                await asyncio.sleep(DOWN_S)
                it.config_set("maxmemory", before)
                load.mark("well")
                await asyncio.sleep(BEFORE_S)
        finally:
            it.config_set("maxmemory", before)
    judge(rig, load, offer)


async def test_redis__frozen__slows_five_rounds_and_then_nobody(rig: Rig) -> None:
    offer = rig.provide("ok-12")
    async with Client() as client, under_load(mixed(rig, client, offer), RATE) as load:
        await asyncio.sleep(BEFORE_S)
        load.mark("broken")
        rig.engines.freeze_valkey()
        rig.case.inject("SIGSTOP")
        async with asyncio.timeout(FROZEN_S + 30):
            for web in rig.webs:
                while (await rig.health(web))["cache"]["redis"] == "up":
                    await asyncio.sleep(0.05)
        load.mark("passed by")
        await asyncio.sleep(FROZEN_S)
        rig.engines.thaw_valkey()
        load.mark("thawed")
        await recovered(rig)
        load.mark("well")
        await asyncio.sleep(BEFORE_S)
    for web in rig.webs:
        assert "redis.passed_by" in web.log
        assert "redis.back" in web.log
    calm = load.between("start", "broken")
    frozen = load.between("passed by", "thawed")
    added = max(row.took for row in frozen) - min(row.took for row in calm)
    rig.case.figure("p99 before", milliseconds((row.took for row in calm), 0.99))
    rig.case.figure(
        "p99 once passed by", milliseconds((row.took for row in frozen), 0.99)
    )
    back = load.marks["well"] - load.marks["thawed"]
    rig.case.figure("recovered after", f"{back:.1f} s")
    assert not FULL or added <= 1
    assert not FULL or back <= 5
    judge(rig, load, offer)
