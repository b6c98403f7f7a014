"""No answers of a healthy provider to one caller's requests close it for another."""

import asyncio
import random

import orjson
import pytest
from pytest_django import Settings

from llm import live_stream
from llm.breaker.types import BreakerState, BreakerView, Name
from llm.runtime import Runtime
from tests.live.healthy_answers import ANSWERS
from tests.live.inside import CHAT, Exchange, ask, chat_body, upstream
from tests.live.scripted import (
    DONE,
    HELLO,
    ROLE,
    Asked,
    event,
    healthy,
    provider,
    said,
)
from tests.live.world import World

pytestmark = pytest.mark.live

NAMES = list(ANSWERS)


def answer(asked: Asked) -> bytes:
    """What the prompt names, and a good answer to all other requests."""
    if asked.path.endswith("/models"):
        return healthy(asked)
    found = ANSWERS.get(asked.text.partition("#")[2])
    return found(bool(asked.body.get("stream"))) if found else healthy(asked)


async def provoke(world: World, gateway: Runtime, model: str, name: str, path: str, *, stream: bool) -> None:  # fmt: skip
    """One caller's request, that the provider answers as `name` says."""
    body = orjson.loads(chat_body(model, f"{random.random()} #{name}", stream=stream))
    if path != CHAT:
        body["input"] = body.pop("messages")
    await Exchange(gateway, path, orjson.dumps(body), key=world.key).run()


async def look(gateway: Runtime, served_by: str) -> BreakerView:
    while gateway.outcomes.checks:
        await asyncio.sleep(0.01)
    return await gateway.board.read(Name(served_by, "m"))


async def assert_served(world: World, gateway: Runtime, model: str) -> None:
    _, key = world.new_customer()
    exchange = Exchange(gateway, CHAT, chat_body(model), key=key)
    assert (await exchange.run()).status == 200


def orders() -> list[list[str]]:
    """Each answer once, in parts of random order; and random ones, six times in a row."""
    drawn = random.Random(7)
    mixed = drawn.sample(NAMES, len(NAMES))
    repeated = [[name] * 6 for name in drawn.sample(NAMES, 10)]
    return [mixed[at : at + 40] for at in range(0, len(mixed), 40)] + repeated


@pytest.mark.parametrize("names", orders(), ids=lambda names: names[0])
async def test_answers__to_one_caller__leave_the_provider_to_the_others(
    indoors: World, gateway: Runtime, settings: Settings, names: list[str]
) -> None:
    settings.LLM_MAX_REPLY_BYTES = 2_000_000
    drawn = random.Random(len(names))
    async with provider(answer) as url:
        served = indoors.serve_at((url, "m"))
        for name in names:
            path = drawn.choice([CHAT, CHAT, "/v1/responses"])
            stream = drawn.random() < 0.5
            await provoke(indoors, gateway, served.model, name, path, stream=stream)
            found = await look(gateway, served.providers[0])
            state = (found.state, found.failures, found.throttled_ms)
            assert state == (BreakerState.CLOSED, 0, 0), (name, path, stream)
        await assert_served(indoors, gateway, served.model)


async def test_streams__longer_than_their_time__are_no_failures(
    indoors: World, gateway: Runtime
) -> None:
    """The provider is slow, and alive to the end."""
    drops = [HELLO, 0.05] * 100
    async with upstream(ROLE, *drops) as url:
        served = indoors.serve_at(
            (url, "m"), first_token_s=1, between_tokens_s=1, total_stream_s=2
        )
        got = await ask(indoors, gateway, served.model, stream=True)
        found = await look(gateway, served.providers[0])
    assert b"took longer than it may" in got.body
    assert (found.state, found.failures) == (BreakerState.CLOSED, 0)


@pytest.mark.parametrize("parts", [[], [ROLE, HELLO]], ids=["silent", "begun"])
async def test_clients__that_leave__are_no_failures(
    indoors: World, gateway: Runtime, parts: list[bytes]
) -> None:
    async with upstream(*parts, 60.0) as url:
        served = indoors.serve_at((url, "m"))
        for _ in range(6):
            body = chat_body(served.model, stream=True)
            exchange = Exchange(gateway, CHAT, body, key=indoors.key)
            serving = exchange.start()
            if parts:
                await exchange.until(b"Hello.")
            else:
                await asyncio.to_thread(indoors.eventually, indoors.reserved_now)
            exchange.leave()
            await asyncio.wait([serving])
        found = await look(gateway, served.providers[0])
    assert (found.state, found.failures) == (BreakerState.CLOSED, 0)


async def test_client__that_reads_too_slowly_for_the_provider__is_no_failure(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider gives up on a stream that nobody takes."""
    monkeypatch.setattr(live_stream, "SLOW_CLIENT_S", 0.0)
    async with upstream(ROLE, HELLO, 0.05, HELLO) as url:
        served = indoors.serve_at((url, "m"))
        got = await ask(indoors, gateway, served.model, stream=True)
        found = await look(gateway, served.providers[0])
    assert b"stream_interrupted" in got.body
    assert (found.state, found.failures) == (BreakerState.CLOSED, 0)


async def test_throttled__for_one_large_request__leaves_the_others_served(
    indoors: World, gateway: Runtime
) -> None:
    def small_minute(asked: Asked) -> bytes:
        large = len(asked.text) > 1000
        words = {
            "error": {"message": "Request too large for m on TPM", "type": "tokens"}
        }
        return said(429, words, b"Retry-After: 60") if large else healthy(asked)

    async with provider(small_minute) as url:
        served = indoors.serve_at((url, "m"))
        got = await ask(indoors, gateway, served.model, text="long " * 500)
        assert got.status == 502
        assert "Request too large" in got.error["message"]
        await assert_served(indoors, gateway, served.model)


async def test_provider__that_sends_only_rubbish__is_closed_all_the_same(
    indoors: World, gateway: Runtime
) -> None:
    """The rule does not blind the breaker."""
    async with provider(lambda asked: said(200, event({"choices": 5}) + DONE)) as url:
        served = indoors.serve_at((url, "m"))
        for _ in range(5):
            await ask(indoors, gateway, served.model, stream=True)
        assert (await look(gateway, served.providers[0])).state is BreakerState.OPEN
