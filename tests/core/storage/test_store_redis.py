"""Redis on the hot path: batched, bounded, and passed by while it is slow or away."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import redis
from prometheus_client import REGISTRY
from redis.exceptions import NoScriptError, ResponseError

from tests.tcp import tcp_server
from valuecanvas.core.storage import store as module
from valuecanvas.core.storage.store import SLOW_ROUNDS, Script, Store, StoreDown
from valuecanvas.embedded.processes import Engine, free_port

PUT = Script.make("return redis.call('SET', KEYS[1], ARGV[1])")
TAKE = Script.make("return redis.call('GETDEL', KEYS[1])")


class Counted(Store):
    """Notes how many commands went in each round trip."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        super().__init__(url, timeout_s=timeout_s, prefix="")
        self.rounds: list[int] = []

    async def _pipeline(self, calls: Sequence[Any]) -> list[Any]:
        self.rounds.append(len(calls))
        return await super()._pipeline(calls)


@pytest.fixture
async def own(own_valkey: Engine) -> AsyncIterator[Counted]:
    one = Counted(own_valkey.url, timeout_s=5)
    yield one
    await one.close()


async def answers(store: Store, count: int) -> list[Any]:
    asked = (store.command("ECHO", number) for number in range(count))
    return await asyncio.gather(*asked, return_exceptions=True)


def gauge() -> float | None:
    return REGISTRY.get_sample_value("valuecanvas_redis_up")


async def test_command__others_while_one_is_under_way__share_a_round_trip(
    own: Counted,
) -> None:
    first = asyncio.create_task(own.command("ECHO", "first"))
    while not own.rounds:
        await asyncio.sleep(0)
    assert await answers(own, 50) == [str(number).encode() for number in range(50)]
    assert await first == b"first"
    assert own.rounds == [1, 50]


async def test_command__one_that_redis_refuses__fails_alone(own: Counted) -> None:
    await own.command("SET", "text", "x")
    asked = (own.command(name, "text") for name in ("INCR", "GET"))
    replies = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(replies[0], ResponseError)
    assert replies[1] == b"x"
    assert own.up


async def test_command__asker_gone__the_others_get_their_own_replies(
    own: Counted,
) -> None:
    asked = [asyncio.create_task(own.command("ECHO", n)) for n in range(9)]
    while not own.rounds:
        await asyncio.sleep(0)
    for one in asked[::2]:
        one.cancel()
    assert await asyncio.gather(*asked[1::2]) == [b"1", b"3", b"5", b"7"]
    assert await answers(own, 3) == [b"0", b"1", b"2"]


async def test_run__scripts_forgotten_by_redis__are_loaded_again(own: Counted) -> None:
    for _ in range(2):
        taken = await asyncio.gather(
            own.run(PUT, "a", 1), own.run(TAKE, "a"), own.command("ECHO", "x")
        )
        assert taken == [b"OK", b"1", b"x"]
        await own.command("SCRIPT", "FLUSH")
    assert Script.make(PUT.source) == PUT
    assert PUT.sha != TAKE.sha


async def test_run__sha_without_its_script__is_an_error_of_its_own(
    own: Counted,
) -> None:
    with pytest.raises(NoScriptError):
        await own.command("EVALSHA", "0" * 40, 0)
    assert own.up


async def test_command__redis_stopped__is_passed_by_after_five_slow_rounds(
    own_valkey: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROBE_EVERY_S", 3600.0)
    store = Counted(own_valkey.url, timeout_s=0.02)
    while not store.up or not store.rounds:
        await answers(store, 1)  # until the machine is quick enough for 20 ms
        store._down_until = 0.0
    store.rounds.clear()
    os.kill(own_valkey.pid, signal.SIGSTOP)
    try:
        while store.up:
            got = await answers(store, 4)
            assert all(isinstance(one, StoreDown) for one in got)
        assert len(store.rounds) == SLOW_ROUNDS
        assert gauge() == 0
        # From now on nobody waits: no round trip is tried.
        assert isinstance((await answers(store, 1))[0], StoreDown)
        assert len(store.rounds) == SLOW_ROUNDS
    finally:
        os.kill(own_valkey.pid, signal.SIGCONT)
    # One probe when its time has come, for which no request waits, and all is well.
    store._timeout_s = 5
    store._down_until = 0.0
    assert isinstance((await answers(store, 1))[0], StoreDown)
    while not store.up:
        await asyncio.sleep(0)
    assert len(store.rounds) == SLOW_ROUNDS + 1
    assert await answers(store, 9) == [str(number).encode() for number in range(9)]
    assert store.up
    assert gauge() == 1
    await store.close()


async def test_command__redis_still_away_at_the_probe__is_passed_by_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PROBE_EVERY_S", 3600.0)
    store = Counted(f"redis://127.0.0.1:{free_port()}", timeout_s=5)
    while store.up:
        assert isinstance((await answers(store, 1))[0], StoreDown)
    store._down_until = 0.0
    assert all(isinstance(one, StoreDown) for one in await answers(store, 20))
    while store._failures == SLOW_ROUNDS:
        assert isinstance((await answers(store, 1))[0], StoreDown)
    assert len(store.rounds) == SLOW_ROUNDS + 1
    assert not store.up
    await store.close()


async def test_command__server_that_never_answers__costs_the_limit_and_no_more() -> (
    None
):
    gone = asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: Any) -> None:
        await reader.read(-1)
        gone.set()

    async with tcp_server(swallow) as port:
        store = Counted(f"redis://127.0.0.1:{port}", timeout_s=0.02)
        assert isinstance((await answers(store, 1))[0], StoreDown)
        await gone.wait()  # the connection with the unread reply is not kept
        await store.close()


async def test_command__redis_killed_and_another_in_its_place__goes_on(
    own: Counted, own_valkey: Engine
) -> None:
    await own.command("SET", "a", 1)
    with redis.Redis.from_url(own_valkey.url) as other:
        other.client_kill_filter(_type="normal", skipme=True)
    got = await answers(own, 1)
    assert got == [b"0"] or isinstance(got[0], StoreDown)
    assert await answers(own, 1) == [b"0"]
    assert own.up


async def test_close__never_used__is_quiet() -> None:
    await Store("redis://127.0.0.1:1", timeout_s=1, prefix="x").close()
