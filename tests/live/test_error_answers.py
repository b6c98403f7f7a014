"""Errors inside answers of status 200: the caller's, a rate limit, or the provider's."""

from typing import Any

import orjson
import pytest

from llm.breaker.types import BreakerState, BreakerView, Name
from llm.runtime import Runtime
from tests.live.inside import CHAT, Exchange, ask, chat_body
from tests.live.scripted import DONE, END, HELLO, ROLE, WHOLE, event, provider, said
from tests.live.wire import content, data_events
from tests.live.world import Answer, World

pytestmark = pytest.mark.live

SAID = "The prompt has 9000 tokens; the model takes 8192."
LONG = {
    "message": SAID,
    "type": "invalid_request_error",
    "code": "context_length_exceeded",
}
CALLERS: dict[str, Any] = {
    "openai": {"error": LONG},
    "flat": {"object": "error", **LONG},
    "vllm": {
        "object": "error",
        "message": SAID,
        "type": "BadRequestError",
        "code": 400,
    },
    "list": [{"error": {"code": 400, "message": SAID, "status": "INVALID_ARGUMENT"}}],
    "grpc": {"error": {"code": 3, "message": SAID}},
    "text in number": {"error": {"code": "422", "message": SAID}},
    "choice": {"choices": [{"index": 0, "finish_reason": "error", "error": LONG}]},
    "beside nothing": {"choices": [], "error": LONG},
}


async def look(gateway: Runtime, provider_key: str) -> BreakerView:
    return await gateway.board.read(Name(provider_key, "m"))


@pytest.mark.parametrize("form", ["whole", "stream", "stream in plain JSON"])
@pytest.mark.parametrize("body", CALLERS.values(), ids=CALLERS)
async def test_error_in_200__of_the_caller__is_400_with_the_words_and_no_failure(
    indoors: World, gateway: Runtime, body: Any, form: str
) -> None:
    raw = ROLE + event(body) + DONE if form == "stream" else orjson.dumps(body)
    async with provider(lambda asked: said(200, raw)) as url:
        served = indoors.serve_at((url, "m"))
        for _ in range(6):
            answer = await ask(indoors, gateway, served.model, stream=form != "whole")
            assert answer.status in (400, 422)
            assert answer.error["message"] == SAID
            assert answer.error["type"] == "invalid_request_error"
        found = await look(gateway, served.providers[0])
    assert (found.state, found.completed) == (BreakerState.CLOSED, 0)
    assert indoors.counter() == (0, 0, 0)


OTHERS = [
    ({"error": {"message": "Slow down.", "type": "rate_limit_error"}}, 429, 0),
    ({"error": {"message": "Slow down.", "code": 429}}, 429, 0),
    ({"error": {"message": "Oh.", "type": "server_error"}}, 502, 1),
    ({"error": {"message": "Oh.", "code": 503}}, 502, 1),
    ({"error": "Oh."}, 502, 1),
    ({"message": "Oh.", "code": "internal"}, 502, 1),
    ({"detail": "Oh."}, 502, 1),
    ({"choices": [{"finish_reason": "error", "message": {"content": ""}}]}, 502, 1),
    ({"base_resp": {"status_code": 1000, "status_msg": "Oh."}}, 502, 1),
]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("body", "status", "failures"), OTHERS)
async def test_error_in_200__of_the_provider__counts_and_is_told(
    indoors: World,
    gateway: Runtime,
    body: Any,
    status: int,
    failures: int,
    streamed: bool,
) -> None:
    raw = event(body) if streamed else orjson.dumps(body)
    async with provider(lambda asked: said(200, raw)) as url:
        served = indoors.serve_at((url, "m"))
        answer = await ask(indoors, gateway, served.model, stream=streamed)
        found = await look(gateway, served.providers[0])
    assert answer.status == status
    assert (found.failures, found.throttled_ms > 0) == (failures, status == 429)


# After the first content

BROKEN = {
    "openai": event({"error": {"message": "Oh no."}}),
    "text": event({"error": "Oh no."}),
    "flat": event({"object": "error", "message": "Oh no.", "code": 50001}),
    "anthropic": event({"type": "error", "error": {"message": "Oh no."}}),
    "event": b"event: error\n" + event({"message": "Oh no.", "code": 1}),
    "event of text": b"event: error\ndata: Oh no.\n\n",
    "event after its data": b'data: {"message":"Oh no."}\nevent: error\n\n',
    "message alone": event({"message": "Oh no."}),
    "finish": event(
        {
            "choices": [{"delta": {}, "finish_reason": "error"}],
            "error": {"message": "Oh no."},
        }
    ),
    "choice": event(
        {"choices": [{"finish_reason": "error", "error": {"message": "Oh no."}}]}
    ),
}


async def streamed(
    world: World, gateway: Runtime, *parts: bytes
) -> tuple[Answer, BreakerView]:
    async with provider(lambda asked: said(200, b"".join(parts))) as url:
        served = world.serve_at((url, "m"))
        answer = await ask(world, gateway, served.model, stream=True)
        return answer, await look(gateway, served.providers[0])


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_error_after_content__any_form__ends_in_an_error_event_and_counts(
    indoors: World, gateway: Runtime, broken: bytes
) -> None:
    answer, found = await streamed(indoors, gateway, ROLE, HELLO, broken, DONE)
    events = data_events(answer.body)
    assert content(events) == ["Hello."]
    assert events[-1]["error"]["code"] == "stream_interrupted"
    assert "Oh no." in events[-1]["error"]["message"]
    assert b"[DONE]" not in answer.body
    assert found.failures == 1
    assert indoors.usage(answer.headers["x-request-id"]).status == "interrupted"


@pytest.mark.parametrize("reason", ["error", "network_error"])
async def test_finish__for_an_error__is_no_end(
    indoors: World, gateway: Runtime, reason: str
) -> None:
    end = event({"choices": [{"delta": {}, "finish_reason": reason}]})
    answer, found = await streamed(indoors, gateway, ROLE, HELLO, end, DONE)
    assert data_events(answer.body)[-1]["error"]["code"] == "stream_interrupted"
    assert b"[DONE]" not in answer.body
    assert found.failures == 1


async def test_error_after_content__of_the_caller__is_told_and_no_failure(
    indoors: World, gateway: Runtime
) -> None:
    answer, found = await streamed(indoors, gateway, HELLO, event({"error": LONG}))
    assert SAID in data_events(answer.body)[-1]["error"]["message"]
    assert (found.state, found.failures) == (BreakerState.CLOSED, 0)


@pytest.mark.parametrize(
    "done", [b"data: [DONE] \n\n", b"data:[DONE]\n\n", b"data:  [DONE]\t\n\n"]
)
async def test_done__with_blanks__is_the_end(
    indoors: World, gateway: Runtime, done: bytes
) -> None:
    late = event({"choices": [{"delta": {"content": "Late."}}]})
    answer, found = await streamed(indoors, gateway, HELLO, END, done, late)
    assert content(data_events(answer.body)) == ["Hello."]
    assert answer.body.endswith(DONE)
    assert found.failures == 0


# What we cannot read

TEXTS = [{"type": "text", "text": "Hello."}]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": {"parts": TEXTS}},
        {"role": "assistant", "content": "", "tool_calls": [{"function": 5}]},
        {"role": "assistant", "content": "", "tool_calls": 5},
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/responses"])
async def test_answer__that_we_cannot_read_or_translate__is_no_failure(
    indoors: World, gateway: Runtime, message: Any, path: str
) -> None:
    body = {**WHOLE, "choices": [{"message": message, "finish_reason": "stop"}]}
    async with provider(lambda asked: said(200, body)) as url:
        served = indoors.serve_at((url, "m"))
        for _ in range(6):
            sent = orjson.loads(chat_body(served.model))
            if path != CHAT:
                sent = {"model": served.model, "input": sent["messages"]}
            exchange = Exchange(gateway, path, orjson.dumps(sent), key=indoors.key)
            await exchange.run()
        found = await look(gateway, served.providers[0])
    assert (found.state, found.failures) == (BreakerState.CLOSED, 0)
