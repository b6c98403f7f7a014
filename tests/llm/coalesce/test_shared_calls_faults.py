"""Coalescing while Redis is away, deaf, or in the hands of somebody else."""

import asyncio
import os
import secrets
import signal
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import redis as sync_redis
from pytest_django import Settings

from llm.cache import entry as entries
from llm.coalesce import bus
from llm.shared_call import SharedCallState
from tests.llm.sharing_processes import (
    Process,
    make_entry,
    make_place,
    redis_url,
    until,
)
from valuecanvas.core.storage.store import StoreDown
from valuecanvas.embedded import valkey
from valuecanvas.embedded.processes import Engine

NOWHERE = "redis://127.0.0.1:9/0"


@pytest.fixture
async def pair(prefix: str) -> AsyncIterator[tuple[Process, Process]]:
    made = Process(redis_url(), prefix), Process(redis_url(), prefix)
    for process in made:
        await process.start()
    yield made
    for process in made:
        await process.stop()


async def test_look__redis_away__shares_within_the_process(prefix: str) -> None:
    process, place, entry = Process(NOWHERE, prefix), make_place(), make_entry()
    process.shared_calls.start()
    looks = await asyncio.gather(*(process.look(place) for _ in range(10)))
    assert [look[2] for look in looks] == [True] + [False] * 9
    led = looks[0][1]
    assert led is not None
    led.add([b"data: 1\n\n"])
    process.shared_calls.complete(led, entry)
    assert [look[1].entry for look in looks if look[1]] == [entry] * 10
    # What is stored nowhere is led again.
    await process.lead(place)
    await process.stop()


async def test_beat__redis_away__goes_on(prefix: str, settings: Settings) -> None:
    settings.COALESCE_LEASE_S = 0.06
    process, place = Process(NOWHERE, prefix), make_place()
    process.shared_calls.start()
    await process.lead(place)
    await asyncio.sleep(0.1)
    assert process.shared_calls._task is not None
    assert not process.shared_calls._task.done()
    await process.stop()


async def test_bus__redis_comes_back__hears_again(
    own_valkey: Engine, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "RETRY_S", 0.02)
    leader, follower = Process(own_valkey.url, prefix), Process(own_valkey.url, prefix)
    for process in (leader, follower):
        await process.start()
    with sync_redis.Redis.from_url(own_valkey.url) as client:
        assert client.client_kill_filter(_type="pubsub") == 2
    for process in (leader, follower):
        await process.hearing()
    place = make_place()
    led = await leader.lead(place)
    led.add([b"data: 1\n\n"])
    assert await until(await follower.follow(place), 1) == [b"data: 1\n\n"]
    for process in (leader, follower):
        await process.stop()


async def test_stop__never_started__does_nothing(prefix: str) -> None:
    await Process(redis_url(), prefix).stop()


async def test_stop__redis_hangs__does_not_wait_long(
    own_valkey: Engine, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("llm.coalesce.shared_calls.STOP_S", "llm.coalesce.bus.STOP_S"):
        monkeypatch.setattr(name, 0.05)
    process = Process(own_valkey.url, prefix, timeout_s=0.2)
    await process.start()
    await process.lead(make_place())
    os.kill(own_valkey.pid, signal.SIGSTOP)
    try:
        await process.stop()
    finally:
        os.kill(own_valkey.pid, signal.SIGCONT)
    valkey.stop(own_valkey)


async def test_lead__redis_dies_meanwhile__ends_all_the_same(
    own_valkey: Engine, prefix: str
) -> None:
    process, place = Process(own_valkey.url, prefix, timeout_s=0.2), make_place()
    await process.start()
    led = await process.lead(place)
    process.shared_calls._led[place.key].processes["1-other"] = 0
    valkey.stop(own_valkey)
    led.add([b"data: 1\n\n"])
    process.shared_calls.complete(led, make_entry())
    assert led.state is SharedCallState.COMPLETE
    await process.stop()
    assert not process.shared_calls._giving_up


async def test_landed__redis_does_not_take_it__is_told_again(
    pair: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "RETRY_S", 0.02)
    place, entry = make_place(), make_entry()
    led = await pair[0].lead(place)
    led.add([b"data: 1\n\n"])
    followed = await pair[1].follow(place)
    await until(followed, 1)
    command = pair[0].store.command
    tries: list[tuple[Any, ...]] = []

    async def moody(*args: Any) -> Any:
        if args[0] == "PUBLISH" and len(tries) < 3:
            tries.append(args)
            raise StoreDown
        return await command(*args)

    monkeypatch.setattr(pair[0].store, "command", moody)
    pair[0].shared_calls.complete(led, entry)
    assert await followed.wait_for_end() is SharedCallState.COMPLETE
    assert (followed.entry, len(tries)) == (entry, 3)


def forged(message: dict[str, Any]) -> list[bytes]:
    """The message as somebody would send it who can publish, but has no key."""
    data = orjson.dumps(message)
    return [data, secrets.token_bytes(32) + data, b"\0" * 32 + data, data[:10], b""]


async def test_heard__forged_on_the_channel__is_ignored(
    pair: tuple[Process, Process],
) -> None:
    place = make_place()
    led = await pair[0].lead(place)
    followed = await pair[1].follow(place)
    led.add([b"data: 1\n\n"])
    await until(followed, 1)
    value = entries.pack(make_entry(), tenant=place.tenant, key=place.key)
    news = {"t": "news", "k": place.key, "n": 2}
    for evil in (
        {**news, "e": ["data: planted\n\n"]},
        {**news, "s": "lost"},
        {**news, "s": "landed", "v": b64encode(value).decode()},
    ):
        for data in forged(evil):
            await pair[0].store.command(
                "PUBLISH", f"{pair[1].prefix}:flights:{pair[1].name}", data
            )
    for data in forged({"t": "follow", "k": place.key, "from": "spy"}):
        await pair[1].store.command(
            "PUBLISH", f"{pair[0].prefix}:flights:{pair[0].name}", data
        )
    led.add([b"data: 2\n\n"])
    assert await until(followed, 2) == [b"data: 1\n\n", b"data: 2\n\n"]
    assert led.followers == 1
    assert followed.state is SharedCallState.RUNNING


@pytest.mark.parametrize("number", [0, 2, -1, None, "1"])
async def test_news__out_of_order__is_lost(
    pair: tuple[Process, Process], number: object
) -> None:
    place = make_place()
    led = await pair[0].lead(place)
    followed = await pair[1].follow(place)
    led.add([b"data: 1\n\n"])
    await until(followed, 1)
    expected = pair[1].shared_calls._followed[place.key].expected
    if number == 2:
        number = expected + 1
    await pair[0].say(pair[1].name, {"t": "news", "k": place.key, "n": number})
    assert await followed.wait_for_end() is SharedCallState.LOST
    assert followed.events == [b"data: 1\n\n"]
    # What comes late finds nobody.
    led.add([b"data: 2\n\n"])
    await pair[0].say(pair[1].name, {"t": "other"})


async def test_news__landed_with_a_foreign_answer__is_lost(
    pair: tuple[Process, Process],
) -> None:
    place = make_place()
    led = await pair[0].lead(place)
    followed = await pair[1].follow(place)
    led.add([b"data: 1\n\n"])
    await until(followed, 1)
    value = entries.pack(make_entry(), tenant="c:other", key=place.key)
    message = {
        "t": "news",
        "k": place.key,
        "n": pair[1].shared_calls._followed[place.key].expected,
        "s": "landed",
        "v": b64encode(value).decode(),
    }
    await pair[0].say(pair[1].name, message)
    assert await followed.wait_for_end() is SharedCallState.LOST
    assert followed.entry is None


async def test_news__failed_without_a_word__is_still_an_error(
    pair: tuple[Process, Process],
) -> None:
    place = make_place()
    led = await pair[0].lead(place)
    followed = await pair[1].follow(place)
    led.add([b"data: 1\n\n"])
    await until(followed, 1)
    number = pair[1].shared_calls._followed[place.key].expected
    message = {"t": "news", "k": place.key, "n": number, "s": "failed"}
    await pair[0].say(pair[1].name, message)
    assert await followed.wait_for_end() is SharedCallState.FAILED
    assert followed.error is not None
    assert followed.error.status == 502
