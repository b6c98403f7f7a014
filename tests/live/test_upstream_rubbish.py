"""Replies that no provider should give: the next one answers, and nothing crashes."""

from typing import Any

import orjson
import pytest

from llm.breaker.types import BreakerState, Name
from llm.runtime import Runtime
from tests.live.faucet import open_faucet
from tests.live.inside import (
    CHAT,
    DONE,
    Exchange,
    ask,
    chat_body,
    chunk,
    event,
    upstream,
)
from tests.live.test_inside_streams import acquired, half_open, stream
from tests.live.wire import content, data_events
from tests.live.world import World

pytestmark = pytest.mark.live

HELLO, END = chunk(content="Hello."), chunk()


def choice(index: int = 0, reason: Any = None, **delta: Any) -> bytes:
    one = {"index": index, "delta": delta, "finish_reason": reason}
    return event({"id": "c", "created": 1, "choices": [one]})


RUBBISH = {
    "number": event({"choices": 5}),
    "true": event({"choices": True}),
    "list of reasons": choice(reason=["stop"]),
    "reason object": choice(reason={"a": 1}),
    "deep call": b'data: {"choices":[{"delta":{"tool_calls":%s}}]}\n\n'
    % (b"[" * 300 + b"]" * 300),
}


@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH)
async def test_stream__rubbish_first__fails_over(
    indoors: World, gateway: Runtime, rubbish: bytes
) -> None:
    async with upstream(rubbish) as bad, upstream(HELLO, END, DONE) as good:
        served = indoors.serve_at((bad, "m"), (good, "m"))
        answer = await stream(indoors, gateway, served.model)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
    assert content(data_events(answer.body)) == ["Hello."]


@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH)
async def test_stream__rubbish_after_content__ends_in_an_error_event(
    indoors: World, gateway: Runtime, rubbish: bytes
) -> None:
    async with upstream(HELLO, rubbish, DONE) as url:
        served = indoors.serve_at((url, "m"))
        answer = await stream(indoors, gateway, served.model)
    assert data_events(answer.body)[-1]["error"]["code"] == "stream_interrupted"
    assert indoors.usage(answer.headers["x-request-id"]).status == "interrupted"
    look = await gateway.board.read(Name(served.providers[0], "m"))
    # What is too deep for us is our limit.
    assert look.failures == (0 if rubbish == RUBBISH["deep call"] else 1)


async def test_stream__usage_too_deep_to_be_kept__is_passed_on_all_the_same(
    indoors: World, gateway: Runtime
) -> None:
    usage = b'data: {"choices":[],"usage":{"a":%s}}\n\n' % (b"[" * 300 + b"]" * 300)
    async with upstream(HELLO, END, usage, DONE) as url:
        served = indoors.serve_at((url, "m"))
        answer = await stream(indoors, gateway, served.model)
    assert answer.body.endswith(DONE)
    assert indoors.usage(answer.headers["x-request-id"]).status == "ok"


@pytest.mark.parametrize(
    "reply",
    [
        {"choices": 5},
        {"choices": [{"message": {"content": "x"}, "finish_reason": ["stop"]}]},
        {"choices": [{"message": {"content": "x"}, "finish_reason": {"a": 1}}]},
        {"choices": [{"message": {"content": "x", "tool_calls": 5}}]},
    ],
)
async def test_whole__rubbish__fails_over(
    indoors: World, gateway: Runtime, reply: dict[str, Any]
) -> None:
    fine = {"message": {"content": "Hi."}, "finish_reason": "stop"}
    good_reply = orjson.dumps({"choices": [fine]})
    async with upstream(orjson.dumps(reply)) as bad, upstream(good_reply) as good:
        served = indoors.serve_at((bad, "m"), (good, "m"))
        answer = await ask(indoors, gateway, served.model)
    assert (answer.status, answer.body) == (200, good_reply)
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]


@pytest.mark.parametrize(
    "reply",
    [
        {"output": 5},
        {"output": [{"content": 5}]},
        {"output": [5]},
    ],
)
async def test_native_whole__rubbish__is_a_failure_of_the_provider(
    indoors: World, gateway: Runtime, reply: dict[str, Any]
) -> None:
    async with upstream(orjson.dumps(reply)) as url:
        served = indoors.serve_at((url, "m"), provider_kind="openai")
        body = orjson.dumps({"model": served.model, "input": "Hi."})
        exchange = Exchange(gateway, "/v1/responses", body, key=indoors.key)
        answer = await exchange.run()
    assert answer.status == 502
    assert indoors.counter() == (0, 0, 0)


async def test_two_choices__cut_after_one_of_them__is_interrupted(
    indoors: World, gateway: Runtime
) -> None:
    parts = [choice(0, content="one"), choice(1, content="two"), choice(0, "stop")]
    async with upstream(*parts, choice(1, content=" and")) as url:
        served = indoors.serve_at((url, "m"))
        answer = await stream(indoors, gateway, served.model, n=2)
    assert b"[DONE]" not in answer.body
    assert data_events(answer.body)[-1]["error"]["code"] == "stream_interrupted"


async def test_two_choices__both_ended__is_whole(
    indoors: World, gateway: Runtime
) -> None:
    parts = [choice(0, content="one"), choice(1, "stop"), choice(0, "stop")]
    async with upstream(*parts) as url:
        served = indoors.serve_at((url, "m"))
        answer = await stream(indoors, gateway, served.model, n=2)
    assert answer.body.endswith(DONE)


# What tells nothing of the provider


async def test_breaker__callers_mistakes_between__do_not_hide_the_failures(
    indoors: World, gateway: Runtime
) -> None:
    async with open_faucet() as faucet:
        served = indoors.serve_at((faucet.url, "m"))
        name = Name(served.providers[0], "m")
        for number, status in enumerate((400, 500) * 5, 1):
            body = chat_body(served.model)
            exchange = Exchange(gateway, CHAT, body, key=indoors.key)
            serving = exchange.start()
            await (await faucet.call(number)).refuse(status)
            await serving
            assert exchange.answer.status == (400 if status == 400 else 502)
        look = await gateway.board.read(name)
    assert (look.state, look.reason) == (BreakerState.OPEN, "5 failures in a row")


FILTERED = {"message": {"content": "Hi."}, "finish_reason": "content_filter"}


@pytest.mark.parametrize(
    ("parts", "status", "streamed"),
    [
        ([b"{}"], 400, False),
        ([orjson.dumps({"choices": [FILTERED]})], 200, False),
        ([HELLO, choice(reason="content_filter"), DONE], 200, True),
    ],
    ids=["refused", "filtered", "filtered stream"],
)
async def test_probe__tells_nothing_of_the_provider__frees_the_slot(
    indoors: World,
    gateway: Runtime,
    parts: list[bytes],
    status: int,
    streamed: bool,
) -> None:
    async with upstream(*parts, status=status) as url:
        served = indoors.serve_at((url, "m"))
        name = await half_open(gateway, served.providers[0])
        answer = await ask(indoors, gateway, served.model, stream=streamed)
        assert answer.status == status
        assert (await gateway.board.read(name)).state is BreakerState.HALF_OPEN
        assert (await acquired(gateway, name)).probe


async def test_filtered_answers__healthy_breaker__are_not_counted(
    indoors: World, gateway: Runtime
) -> None:
    async with upstream(orjson.dumps({"choices": [FILTERED]})) as url:
        served = indoors.serve_at((url, "m"))
        assert (await ask(indoors, gateway, served.model)).status == 200
        await gateway.board.close()
        look = await gateway.board.read(Name(served.providers[0], "m"))
    assert (look.state, look.completed) == (BreakerState.CLOSED, 0)
