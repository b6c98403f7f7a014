"""The columns of the table: how each state is brought about, and how it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import psycopg
import redis

from tests.faults.load import off_loop
from tests.faults.rig import Rig
from tests.faults.toxic import Down, Fault, Timeout
from tests.faults.web import Web

LEDGER = "billing_counter, billing_reservation, llm_usage"
LOCK = f"LOCK TABLE {LEDGER} IN ACCESS EXCLUSIVE MODE"
# What each process listens on for news of the others.
CHANNELS = "vc:flights:*"
PATIENCE_S = 120.0

State = Callable[[Rig], AbstractAsyncContextManager[None]]


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Wait until `look` says yes."""
    async with asyncio.timeout(PATIENCE_S):
        while not await look():
            await asyncio.sleep(0.02)


async def all_ready(rig: Rig, status: int = 200) -> None:
    """Until each process says of itself that it can admit requests, or cannot."""

    async def says_so(web: Web) -> bool:
        return await asyncio.to_thread(web.status, "/health/ready") == status

    for web in rig.webs:
        await until(partial(says_so, web))


async def all_find_redis(rig: Rig, how: str) -> None:
    """Until Redis is `up` or `passed by` for each process. Asking makes it find out."""

    async def says_so(web: Web) -> bool:
        return bool((await rig.health(web))["cache"]["redis"] == how)

    for web in rig.webs:
        await until(partial(says_so, web))


def store(rig: Rig) -> redis.Redis:
    return redis.Redis.from_url(rig.engines.valkey.url)


def _channels(rig: Rig) -> set[bytes]:
    with store(rig) as it:
        return set(it.pubsub_channels(CHANNELS))


async def _redis_back(rig: Rig, channels: set[bytes]) -> None:
    async def all_listen() -> bool:
        return channels <= _channels(rig)

    await all_find_redis(rig, "up")
    await until(all_listen)


@asynccontextmanager
async def redis_down(rig: Rig) -> AsyncIterator[None]:
    channels = _channels(rig)
    with rig.toxics["redis"].having(Down()):
        await all_find_redis(rig, "passed by")
        yield
    await _redis_back(rig, channels)


@asynccontextmanager
async def redis_slow(rig: Rig) -> AsyncIterator[None]:
    """SIGSTOP: it takes what it is sent, and never answers."""
    channels = _channels(rig)
    rig.engines.freeze_valkey()
    try:
        await all_find_redis(rig, "passed by")
        yield
    finally:
        rig.engines.thaw_valkey()
    await _redis_back(rig, channels)


@asynccontextmanager
async def redis_flushed(rig: Rig) -> AsyncIterator[None]:
    with store(rig) as it:
        it.flushall()
        it.script_flush()
    yield


@asynccontextmanager
async def _postgres(rig: Rig, fault: Fault) -> AsyncIterator[None]:
    with rig.toxics["postgres"].having(fault):
        await all_ready(rig, 503)
        yield
    await all_ready(rig)


def postgres_down(rig: Rig) -> AbstractAsyncContextManager[None]:
    """Connections are cut, and new ones refused."""
    return _postgres(rig, Down())


def postgres_slow(rig: Rig) -> AbstractAsyncContextManager[None]:
    """It takes connections and statements; no answer comes until it is over."""
    return _postgres(rig, Timeout())


@asynccontextmanager
async def postgres_locked(rig: Rig) -> AsyncIterator[None]:
    """Another session holds the tables of the ledger."""
    with psycopg.connect(rig.engines.postgres.url) as connection:
        connection.execute(LOCK)
        yield
    await all_ready(rig)


@asynccontextmanager
async def postgres_restarted(rig: Rig) -> AsyncIterator[None]:
    """It crashes and starts again: the state is what comes after."""
    await off_loop(rig.pool, rig.engines.crash_postgres)
    await all_ready(rig, 503)
    await off_loop(rig.pool, rig.engines.start_postgres)
    await all_ready(rig)
    yield


STATES: dict[str, State] = {
    "Redis down": redis_down,
    "Redis slow": redis_slow,
    "Redis flushed": redis_flushed,
    "PostgreSQL down": postgres_down,
    "PostgreSQL slow": postgres_slow,
    "PostgreSQL locked": postgres_locked,
    "PostgreSQL restarted": postgres_restarted,
}
