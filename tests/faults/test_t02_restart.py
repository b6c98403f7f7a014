"""T2: both web processes restarted in turn under load: no request fails, no stream is cut."""

import asyncio
import itertools
import random
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from django.conf import settings

from tests.faults.conftest import Stage
from tests.faults.counts import either
from tests.faults.load import under_load
from tests.faults.report import milliseconds
from tests.faults.rig import Rig
from tests.faults.traffic import Client, Row
from tests.faults.web import Web, webs

ROUNDS = either(1, 5)
STREAMS = either(10, 30)
RATE = either(20.0, 50.0)
# How often the balancer asks each process whether it is ready.
PROBE_S = either(0.1, 0.5)
# Full: the defaults.
GRACE_S = either(1, 3)
DRAIN = {
    "SHUTDOWN_GRACE_S": str(GRACE_S),
    "SHUTDOWN_STREAMS_S": "29",
    # A machine that runs other tests may be later than in production.
    "LLM_ADMIT_TIMEOUT_S": str(either(20.0, settings.LLM_ADMIT_TIMEOUT_S)),
}
# Streams of 1 to 5 s, or of 2 to 25 s; a busy machine adds to it, and has 32 s.
TOKENS = range(20, either(100, 250), 10)
PACE_MS = either(50, 100)
SHORT_DRAIN = {**DRAIN, "SHUTDOWN_STREAMS_S": str(either(1, 29))}
# 20 or 55 s: longer than that.
PAST = f"drip@{PACE_MS}ms:{either(400, 550)}"
# uvicorn ends itself by the signal that it was sent, once all is done.
IN_GOOD_ORDER = {0, -signal.SIGTERM}

Start = Callable[..., list[Web]]


@dataclass
class Balancer:
    """Chooses in turn among the processes that were ready when they were last asked."""

    webs: Sequence[Web]
    ready: list[Web] = field(default_factory=list)
    _turns: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def url(self) -> str:
        return self.ready[next(self._turns) % len(self.ready)].url

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        self.ready = list(self.webs)
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _watch(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                await asyncio.sleep(PROBE_S)
                found = [(await _is_ready(session, web), web) for web in self.webs]
                self.ready = [web for ready, web in found if ready]


async def _is_ready(session: aiohttp.ClientSession, web: Web) -> bool:
    try:
        async with session.get(f"{web.url}/health/ready") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, OSError):
        return False


@pytest.fixture
def start(stage: Stage) -> Iterator[Start]:
    """Starts two processes that stop as these settings say."""
    with ExitStack() as stack:

        def started(times: dict[str, str]) -> list[Web]:
            prefix = {"REDIS_PREFIX": f"restarted-{secrets.token_hex(4)}"}
            env = {**stage.env, **prefix, **times}
            pair = [Web(stage.folder, env), Web(stage.folder, env)]
            return stack.enter_context(webs(pair))

        yield started


async def ended(rig: Rig, web: Web) -> float:
    """SIGTERM, and the seconds until the process has ended by itself."""
    began = time.monotonic()
    assert web.process is not None
    web.process.send_signal(signal.SIGTERM)
    rig.case.inject("SIGTERM")
    assert await asyncio.to_thread(web.wait_dead, 60.0), web.log[-4000:]
    assert web.process.returncode in IN_GOOD_ORDER
    return time.monotonic() - began


async def restarted(rig: Rig, balancer: Balancer) -> list[float]:
    """Each process in turn: end it, start it, wait until it is sent requests again."""
    took = []
    for web in balancer.webs:
        took.append(await ended(rig, web))
        web.spawn()
        await asyncio.to_thread(web.wait)
        while web not in balancer.ready:
            await asyncio.sleep(0.05)
    return took


@asynccontextmanager
async def streaming(make: Callable[[], Awaitable[Row]]) -> AsyncIterator[list[Row]]:
    """So many streams at all times while the block runs; then the last ones end."""
    rows: list[Row] = []
    over = asyncio.Event()

    async def one_after_the_other() -> None:
        while not over.is_set():
            rows.append(await make())

    tasks = [asyncio.create_task(one_after_the_other()) for _ in range(STREAMS)]
    try:
        yield rows
    finally:
        over.set()
        await asyncio.gather(*tasks)


async def test_restart__of_both_in_turn_under_load__fails_and_cuts_nothing(
    rig: Rig, start: Start
) -> None:
    rig.webs = start(DRAIN)
    balancer = Balancer(rig.webs)
    dice = random.Random(2)
    whole = rig.provide("ok-12")
    lasting = [rig.provide(f"drip@{PACE_MS}ms:{n}") for n in TOKENS]
    took: list[float] = []
    async with Client() as client, balancer.watching():

        async def ask() -> Row:
            return await rig.ask(client, whole, url=balancer.url)

        async def listen() -> Row:
            offer = dice.choice(lasting)
            return await rig.ask(client, offer, stream=True, url=balancer.url)

        async with under_load(ask, RATE) as load, streaming(listen) as streams:
            for _ in range(ROUNDS):
                took += await restarted(rig, balancer)
    failed = [row for row in load.rows if not row.whole]
    cut = [row for row in streams if not (row.whole and row.done)]
    asked = f"{len(load.rows)} requests at {RATE:.0f}/s, {len(streams)} streams"
    rig.case.runs = f"{ROUNDS} rounds: {asked}, {STREAMS} at a time"
    rig.case.figure("requests failed", len(failed))
    rig.case.figure("streams cut", len(cut))
    rig.case.figure("p99 of a request", milliseconds((r.took for r in load.rows), 0.99))
    rig.case.figure("longest stream", milliseconds((r.took for r in streams), 1))
    rig.case.figure("longest stop", milliseconds(took, 1))
    assert failed == []
    assert cut == []
    rig.settled(*load.rows, *streams)


async def test_restart__streams_longer_than_the_drain__end_in_band_and_are_billed(
    rig: Rig, start: Start
) -> None:
    rig.webs = start(SHORT_DRAIN)
    offer = rig.provide(PAST)
    seen: list[Row] = []
    async with Client() as client:
        for web in rig.webs:
            tasks = [
                asyncio.create_task(rig.ask(client, offer, stream=True, url=web.url))
                for _ in range(STREAMS)
            ]
            await rig.flying(offer, STREAMS)
            await ended(rig, web)
            seen += await asyncio.gather(*tasks)
            web.spawn()
            await asyncio.to_thread(web.wait)
    in_band = [row for row in seen if row.code == "server_shutdown" and not row.broke]
    rig.case.runs = f"{len(seen)} streams"
    rig.case.figure("ended in band", len(in_band))
    assert len(in_band) == len(seen)
    assert not any(row.done for row in seen)
    rig.settled(*seen)
    assert rig.compare_send_log(*seen) == len(seen)


async def test_restart__without_the_grace__is_seen_to_fail_requests(
    rig: Rig, start: Start
) -> None:
    """The twin with the guard off: the balancer hears of it too late."""
    rig.webs = start({**DRAIN, "SHUTDOWN_GRACE_S": "0"})
    balancer = Balancer(rig.webs)
    offer = rig.provide("ok-12")
    async with Client() as client, balancer.watching():

        async def ask() -> Row:
            return await rig.ask(client, offer, url=balancer.url)

        async with under_load(ask, 100.0) as load:
            await restarted(rig, balancer)
    failed = [row for row in load.rows if not row.whole]
    rig.case.runs = f"{len(load.rows)} requests"
    rig.case.figure("requests failed", len(failed))
    assert failed
    rig.settled(*load.rows)
