"""Streams of providers with habits of their own, and probes of a breaker."""

import asyncio
from typing import Any

import orjson
import pytest

from llm import live_stream
from llm.breaker.board import redis_key
from llm.breaker.types import BreakerState, Event, Name, Pass
from llm.runtime import Runtime
from llm.upstream.sse import MOST_EVENT_BYTES
from tests.live.inside import CHAT, DONE, Exchange, chat_body, chunk, event, upstream
from tests.live.wire import content, data_events
from tests.live.world import Answer, World

pytestmark = pytest.mark.live

ROLE, HELLO, END = chunk(role="assistant"), chunk(content="Hello."), chunk()
USAGE: dict[str, Any] = {"prompt_tokens": 12, "completion_tokens": 2}
HUGE = b"data: " + b"x" * MOST_EVENT_BYTES + b"\n\n"


async def stream(world: World, gateway: Runtime, model: str, **fields: Any) -> Answer:
    body = chat_body(model, stream=True, **fields)
    return await Exchange(gateway, CHAT, body, key=world.key).run()


@pytest.mark.parametrize(
    "parts",
    [
        [ROLE, HELLO, END, DONE],
        [(ROLE + HELLO + END + DONE).replace(b"\n", b"\r\n")],
        [b": ping\n\n", ROLE, b": ping\n\n", HELLO, 0.01, END, DONE],
        [ROLE + HELLO + END],
        [HELLO, 0.05, END, b"data: [DONE]"],
    ],
    ids=["plain", "windows", "comments", "no done", "half a done"],
)
async def test_stream__finished__ends_with_done_whatever_its_form(
    indoors: World, gateway: Runtime, parts: list[bytes | float]
) -> None:
    async with upstream(*parts) as url:
        served = indoors.serve_at((url, "m"))
        answer = await stream(indoors, gateway, served.model)
    assert content(data_events(answer.body)) == ["Hello."]
    assert answer.body.endswith(DONE)
    assert b"ping" not in answer.body
    assert indoors.usage(answer.headers["x-request-id"]).status == "ok"


async def test_stream__usage_beside_the_finish__is_billed(
    indoors: World, gateway: Runtime
) -> None:
    end = event({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE})
    async with upstream(ROLE, HELLO, end, DONE) as url:
        served = indoors.serve_at((url, "m"))
        answer = await stream(indoors, gateway, served.model)
    row = indoors.usage(answer.headers["x-request-id"])
    assert (row.prompt_tokens, row.completion_tokens) == (12, 2)
    assert row.source == "provider"


async def test_stream__finish_without_content__is_an_answer(
    indoors: World, gateway: Runtime
) -> None:
    async with upstream(ROLE, END, DONE) as url:
        served = indoors.serve_at((url, "m"))
        answer = await stream(indoors, gateway, served.model)
    assert content(data_events(answer.body)) == []
    assert answer.body.endswith(DONE)
    assert indoors.usage(answer.headers["x-request-id"]).status == "ok"


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [DONE],
        [ROLE],
        [ROLE, DONE],
        [event({"choices": [], "usage": USAGE}), DONE],
        [b"data: {\n\n"],
        [b"data: []\n\n"],
        [event({"error": "broken"})],
        [ROLE, event({"error": {"message": "no"}})],
        [event({"error": {"code": 529}})],
        [HUGE],
        [ROLE, HUGE],
    ],
)
async def test_stream__no_content_yet__fails_over(
    indoors: World, gateway: Runtime, parts: list[bytes]
) -> None:
    async with upstream(*parts) as bad, upstream(ROLE, HELLO, END, DONE) as good:
        served = indoors.serve_at((bad, "m"), (good, "m"))
        answer = await stream(indoors, gateway, served.model)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
    assert content(data_events(answer.body)) == ["Hello."]
    assert answer.body.count(b'"role"') == 1


@pytest.mark.parametrize("parts", [[HELLO, HUGE], [HELLO + b"data: {\n\n"], [HELLO]])
async def test_stream__content_came_before_the_fault__is_passed_on(
    indoors: World, gateway: Runtime, parts: list[bytes]
) -> None:
    async with upstream(*parts) as bad, upstream(HELLO, END, DONE) as good:
        served = indoors.serve_at((bad, "m"), (good, "m"))
        answer = await stream(indoors, gateway, served.model)
    events = data_events(answer.body)
    assert content(events) == ["Hello."]
    assert events[-1]["error"]["code"] == "stream_interrupted"
    assert b"[DONE]" not in answer.body


@pytest.mark.parametrize("streamed", [True, False])
async def test_in_band_error__of_the_client__is_passed_through_and_refunded(
    indoors: World, gateway: Runtime, streamed: bool
) -> None:
    error = {"error": {"message": "Too long.", "code": 400, "param": "messages"}}
    said = event(error) if streamed else orjson.dumps(error)
    async with upstream(said) as bad, upstream(HELLO, END, DONE) as good:
        served = indoors.serve_at((bad, "m"), (good, "m"))
        body = chat_body(served.model, stream=streamed)
        answer = await Exchange(gateway, CHAT, body, key=indoors.key).run()
    assert (answer.status, answer.error["message"]) == (400, "Too long.")
    assert answer.error["param"] == "messages"
    assert indoors.counter() == (0, 0, 0)


async def test_in_band_error__our_account_is_empty__opens_the_breaker(
    indoors: World, gateway: Runtime
) -> None:
    error = {"error": {"message": "Pay.", "code": "insufficient_quota"}}
    async with upstream(event(error)) as bad:
        served = indoors.serve_at((bad, "m"))
        answer = await stream(indoors, gateway, served.model)
    assert answer.status == 502
    look = await gateway.board.read(Name(served.providers[0], "m"))
    assert (look.state, look.reason) == (BreakerState.OPEN, "billing")


# Probes


async def half_open(gateway: Runtime, provider: str) -> Name:
    """Open the provider's breaker for 'm', and let its time be up."""
    name = Name(provider, "m")
    for _ in range(5):
        await gateway.board.report(name, await acquired(gateway, name), FAILURE)
    await gateway.store.command(
        "HSET", redis_key(gateway.store.prefix, name), "until", 1
    )
    return name


async def acquired(gateway: Runtime, name: Name) -> Any:
    return await gateway.board.acquire(name, 5)


FAILURE = Event.FAILURE


async def state(gateway: Runtime, name: Name) -> BreakerState:
    """The breaker's state once what is on its way there has arrived."""
    for _ in range(100):
        found = (await gateway.board.read(name)).state
        if found is not BreakerState.HALF_OPEN:
            return found
        await asyncio.sleep(0.01)
    return BreakerState.HALF_OPEN


@pytest.mark.parametrize(
    ("parts", "after"),
    [
        ([ROLE, HELLO, END, DONE], BreakerState.CLOSED),
        ([HELLO], BreakerState.OPEN),
        ([DONE], BreakerState.OPEN),
    ],
)
async def test_probe__stream__decides_by_how_it_ends(
    indoors: World, gateway: Runtime, parts: list[bytes], after: BreakerState
) -> None:
    async with upstream(*parts) as url:
        served = indoors.serve_at((url, "m"))
        name = await half_open(gateway, served.providers[0])
        await stream(indoors, gateway, served.model)
        assert await state(gateway, name) is after


@pytest.mark.parametrize(
    "parts", [[HELLO, 20.0], [ROLE, 20.0]], ids=["after content", "before content"]
)
async def test_probe__client_leaves__frees_the_slot_with_neither_outcome(
    indoors: World, gateway: Runtime, parts: list[bytes | float]
) -> None:
    async with upstream(*parts) as url:
        served = indoors.serve_at((url, "m"))
        name = await half_open(gateway, served.providers[0])
        body = chat_body(served.model, stream=True)
        exchange = Exchange(gateway, CHAT, body, key=indoors.key)
        serving = exchange.start()
        if HELLO in parts:
            await exchange.until(b"Hello.")
        else:
            while (await gateway.board.read(name)).state is not BreakerState.HALF_OPEN:
                await asyncio.sleep(0.01)
        assert not isinstance(await acquired(gateway, name), Pass)
        exchange.leave()
        await serving
        again = await acquired(gateway, name)
        assert again.probe


async def test_probe__healthy_tokens_for_a_while__closes_before_the_end(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_stream, "HEALTHY_S", 0.05)
    parts = [HELLO, 0.1, HELLO, 0.1, HELLO, 20.0]
    async with upstream(*parts) as url:
        served = indoors.serve_at((url, "m"))
        name = await half_open(gateway, served.providers[0])
        body = chat_body(served.model, stream=True)
        exchange = Exchange(gateway, CHAT, body, key=indoors.key)
        serving = exchange.start()
        await exchange.until(b"Hello.")
        assert await state(gateway, name) is BreakerState.CLOSED
        exchange.leave()
        await serving
        assert await state(gateway, name) is BreakerState.CLOSED


async def test_probe__finished_after_it_was_judged_healthy__is_told_once(
    indoors: World, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_stream, "HEALTHY_S", 0.02)
    async with upstream(HELLO, 0.1, HELLO, 0.1, END, DONE) as url:
        served = indoors.serve_at((url, "m"))
        name = await half_open(gateway, served.providers[0])
        answer = await stream(indoors, gateway, served.model)
        assert answer.body.endswith(DONE)
        assert await state(gateway, name) is BreakerState.CLOSED


# Cancelled from inside


@pytest.mark.parametrize(
    ("parts", "status"),
    [([HELLO, 20.0], "client_gone"), ([ROLE, 20.0], "error")],
    ids=["after content", "before content"],
)
async def test_stream__cancelled_by_the_server__raises_and_leaves_nothing_reserved(
    indoors: World, gateway: Runtime, parts: list[bytes | float], status: str
) -> None:
    async with upstream(*parts) as url:
        served = indoors.serve_at((url, "m"))
        body = chat_body(served.model, stream=True)
        exchange = Exchange(gateway, CHAT, body, key=indoors.key)
        serving = exchange.start()
        if HELLO in parts:
            await exchange.until(b"Hello.")
        else:
            await asyncio.to_thread(indoors.eventually, indoors.reserved_now)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        found = await asyncio.to_thread(indoors.eventually, indoors.rows_now)
    assert [row.status for row in found] == [status]
    assert indoors.counter()[0] == (1 if status == "client_gone" else 0)
    assert indoors.reserved() == 0


async def test_stream__never_begun__is_settled_when_it_is_closed(
    indoors: World, gateway: Runtime
) -> None:
    async with upstream(ROLE, HELLO, 20.0) as url:
        served = indoors.serve_at((url, "m"))
        body = chat_body(served.model, stream=True)
        exchange = Exchange(gateway, CHAT, body, key=indoors.key)

        async def send(message: dict[str, Any]) -> None:
            raise ConnectionResetError(message["type"])

        exchange.send = send  # type: ignore[method-assign]
        with pytest.raises(ConnectionResetError):
            await exchange.run()
        [row] = await asyncio.to_thread(indoors.eventually, indoors.rows_now)
    assert row.status == "client_gone"
    assert indoors.reserved() == 0
