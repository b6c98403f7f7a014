"""T7, T8: PostgreSQL crashes, is locked or is full: 503 at once, and no row is lost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack

import psycopg
import pytest

from tests.faults.counts import FULL, either
from tests.faults.load import Load, off_loop, under_load
from tests.faults.report import milliseconds
from tests.faults.rig import Offer, Rig
from tests.faults.toxic import Down, Latency
from tests.faults.traffic import Client, Row

RATE = either(10, 50)
DOWN_S = either(2, 10)
STREAMS = either(4, 30)
BEFORE_S = either(1, 5)
# The longest wait for a 503 with the database gone, and with it slow or locked.
GONE_S = 1.0
LOCKED_S = 2.0


def mixed(rig: Rig, client: Client, offer: Offer) -> Callable[[], Awaitable[Row]]:
    return lambda: rig.ask(client, offer, stream=next(rig.turns) % 2 == 0)


async def long_streams(
    rig: Rig, client: Client, seconds: float
) -> "list[asyncio.Task[Row]]":
    """Streams that last so long; they run once this returns."""
    offer = rig.provide(f"drip@50ms:{int(seconds * 20)}")
    tasks = [
        asyncio.create_task(rig.ask(client, offer, stream=True)) for _ in range(STREAMS)
    ]
    await rig.flying(offer, STREAMS)
    return tasks


async def ready(rig: Rig) -> None:
    """Until both processes admit requests again, by themselves."""
    async with asyncio.timeout(60):
        for web in rig.webs:
            while await asyncio.to_thread(web.status, "/health/ready") != 200:
                await asyncio.sleep(0.05)


def judge(
    rig: Rig, load: Load, streams: Sequence[Row], within_s: float = GONE_S
) -> None:
    """Refused with 503 and Retry-After or answered in full; nothing lost, nothing held."""
    seen = [*load.rows, *streams]
    refused = [row for row in load.rows if row.status == 503]
    for row in refused:
        assert (row.code, row.headers["retry-after"]) == ("ledger_unavailable", "1")
    answered = [row for row in seen if row not in refused]
    assert [row for row in answered if not row.whole] == []
    assert [row for row in load.between("well") if row in refused] == []
    assert all(row.whole and row.done for row in streams)
    rig.case.runs = f"{len(load.rows)} requests at {RATE}/s, {len(streams)} streams"
    rig.case.figure("refused", len(refused))
    rig.case.figure("longest 503", milliseconds((row.took for row in refused), 1))
    assert not FULL or all(row.took <= within_s for row in refused)
    rig.settled(*seen)
    assert rig.compare_send_log(*seen) == len(answered)
    assert rig.counter()[0] == len(answered)


async def test_postgres__crashes_under_load__loses_no_row(rig: Rig) -> None:
    offer = rig.provide("ok-12")
    async with Client() as client, under_load(mixed(rig, client, offer), RATE) as load:
        await asyncio.sleep(BEFORE_S)
        tasks = await long_streams(rig, client, seconds=DOWN_S + 3)
        load.mark("broken")
        await off_loop(rig.pool, rig.engines.crash_postgres)
        rig.case.inject("immediate shutdown")
        await asyncio.sleep(DOWN_S)
        await off_loop(rig.pool, rig.engines.start_postgres)
        load.mark("accepts")
        await ready(rig)
        load.mark("well")
        await asyncio.sleep(BEFORE_S)
        streams = await asyncio.gather(*tasks)
    back = load.marks["well"] - load.marks["accepts"]
    rig.case.figure("ready again after", f"{back:.1f} s")
    assert not FULL or back <= 3
    assert any(row.status == 503 for row in load.between("broken", "accepts"))
    judge(rig, load, streams)


async def test_postgres__unreachable_for_a_while__is_refused_and_recovers(
    rig: Rig,
) -> None:
    offer = rig.provide("ok-12")
    async with Client() as client, under_load(mixed(rig, client, offer), RATE) as load:
        await asyncio.sleep(BEFORE_S)
        tasks = await long_streams(rig, client, seconds=DOWN_S + 3)
        rig.toxics["postgres"].set(Down())
        rig.case.inject("connections cut, port closed")
        await asyncio.sleep(DOWN_S)
        rig.toxics["postgres"].clear()
        await ready(rig)
        load.mark("well")
        await asyncio.sleep(BEFORE_S)
        streams = await asyncio.gather(*tasks)
    assert any(row.status == 503 for row in load.rows)
    judge(rig, load, streams)


async def test_postgres__slow__is_waited_for_within_bounds(rig: Rig) -> None:
    offer = rig.provide("ok-12")
    toxic = rig.toxics["postgres"]
    async with Client() as client, under_load(mixed(rig, client, offer), RATE) as load:
        before = toxic.injected["Latency"]
        with toxic.having(Latency(0.05)):
            await asyncio.sleep(DOWN_S)
        rig.case.inject("late pieces", toxic.injected["Latency"] - before)
        await ready(rig)
        load.mark("well")
        await asyncio.sleep(BEFORE_S)
    judge(rig, load, [], LOCKED_S)


@pytest.mark.parametrize("table", ["billing_counter", "llm_usage"])
async def test_ledger__table_locked__refuses_within_bounds_and_hangs_nobody(
    rig: Rig, table: str
) -> None:
    offer = rig.provide("ok-12")
    async with Client() as client, under_load(mixed(rig, client, offer), RATE) as load:
        await asyncio.sleep(BEFORE_S)
        with psycopg.connect(rig.engines.postgres.url) as connection:
            connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            rig.case.inject("lock")
            await asyncio.sleep(DOWN_S)
        await ready(rig)
        load.mark("well")
        await asyncio.sleep(BEFORE_S)
    if table == "billing_counter":
        assert any(row.status == 503 for row in load.rows)
    judge(rig, load, [], LOCKED_S)


async def test_postgres__connections_used_up__hangs_nobody(rig: Rig) -> None:
    offer = rig.provide("ok-12")
    with ExitStack() as idle:
        async with (
            Client() as client,
            under_load(mixed(rig, client, offer), RATE) as load,
        ):
            await asyncio.sleep(BEFORE_S)
            with pytest.raises(psycopg.OperationalError, match="too many clients"):
                while True:
                    made = psycopg.connect(rig.engines.postgres.url)
                    idle.callback(made.close)
                    rig.case.inject("idle session")
            await asyncio.sleep(DOWN_S)
            idle.close()
            await ready(rig)
            load.mark("well")
            await asyncio.sleep(BEFORE_S)
    judge(rig, load, [], LOCKED_S)
