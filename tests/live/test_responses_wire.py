"""Responses over the wire: as Open Responses has them, natively and translated."""

from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from llm.breaker.types import BreakerState, Name
from llm.runtime import Runtime
from tests.live.inside import DONE, Exchange, chunk, event, upstream
from tests.live.world import Answer, World, unique
from tests.open_responses import check_response, check_stream

pytestmark = pytest.mark.live

BOTH = pytest.mark.parametrize("kind", ["compatible", "openai"])
Json = dict[str, Any]
TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather",
        "arguments": "{}"}  # fmt: skip
TOOL_LOOP = [
    {"role": "user", "content": "What is the weather?"},
    {"type": "reasoning", "id": "rs_1", "summary": []},
    CALL,
    {"type": "function_call_output", "call_id": "c1", "output": "rain"},
]


async def respond(world: World, gateway: Runtime, model: str, **fields: Any) -> Answer:
    body = {"model": model, "input": unique("Say hello to"), **fields}
    return await Exchange(
        gateway, "/v1/responses", orjson.dumps(body), key=world.key
    ).run()


@BOTH
@pytest.mark.parametrize(
    ("behaviour", "fields", "status"),
    [
        ("responses+ok-10", {}, "completed"),
        ("responses", {"max_output_tokens": 3}, "incomplete"),
        ("responses+filter", {}, "incomplete"),
        ("responses", {"tools": [TOOL], "tool_choice": "required"}, "completed"),
        ("responses", {"truncation": "auto", "temperature": 0.5}, "completed"),
    ],
)
async def test_responses__whole_or_streamed__are_as_specified(
    indoors: World,
    gateway: Runtime,
    kind: str,
    behaviour: str,
    fields: Json,
    status: str,
) -> None:
    served = indoors.serve(behaviour, provider_kind=kind)
    answer = await respond(indoors, gateway, served.model, **fields)
    check_response(answer.json)
    assert answer.json["status"] == status
    answer = await respond(indoors, gateway, served.model, stream=True, **fields)
    events = check_stream(answer.body)
    assert events[-1]["type"] == f"response.{status}"
    assert b": x-valuecanvas-cost-usd=" in answer.body


@BOTH
@pytest.mark.parametrize("fault", ["error-event@4", "reset@12", "malformed@4"])
async def test_responses__broken_off__end_in_an_error_and_a_failed_response(
    indoors: World, gateway: Runtime, kind: str, fault: str
) -> None:
    served = indoors.serve(f"responses+{fault}+ok-40", provider_kind=kind)
    answer = await respond(indoors, gateway, served.model, stream=True)
    events = check_stream(answer.body, done=False)
    assert [one["type"] for one in events[-2:]] == ["error", "response.failed"]
    row = indoors.usage(answer.headers["x-request-id"])
    assert (row.status, row.error_code) == ("interrupted", "stream_interrupted")


async def test_responses__provider_says_failed__is_passed_on(
    indoors: World, gateway: Runtime
) -> None:
    failed = {"type": "response.failed", "sequence_number": 9, "response": {
        "id": "r", "error": {"code": "image_parse_error", "message": "Blurred."},
    }}  # fmt: skip
    delta = {"type": "response.output_text.delta", "sequence_number": 3, "delta": "a"}
    async with upstream(event(delta), event(failed)) as url:
        served = indoors.serve_at((url, "m"), provider_kind="openai")
        answer = await respond(indoors, gateway, served.model, stream=True)
    assert event(failed)[:-2] in answer.body
    assert b"event: error" not in answer.body
    assert DONE not in answer.body


@BOTH
@pytest.mark.parametrize("stream", [False, True])
async def test_tool_loop__reasoning_without_its_content__has_its_second_turn(
    indoors: World, gateway: Runtime, kind: str, stream: bool
) -> None:
    served = indoors.serve("responses", provider_kind=kind)
    fields: Json = {"input": TOOL_LOOP, "tools": [TOOL], "store": False}
    answer = await respond(indoors, gateway, served.model, stream=stream, **fields)
    assert answer.status == 200
    assert b"rain" in answer.body


@BOTH
@pytest.mark.parametrize(
    "item", [{"type": "item_reference", "id": "rs_1"}, {"id": "rs_1"}]
)
async def test_input__reference_to_an_item__is_refused_by_name(
    indoors: World, gateway: Runtime, kind: str, item: Json
) -> None:
    served = indoors.serve("responses", provider_kind=kind)
    given = [TOOL_LOOP[0], item]
    answer = await respond(indoors, gateway, served.model, input=given)
    assert (answer.status, answer.error["param"]) == (400, "input[1]")
    assert "Send the item itself." in answer.error["message"]


async def test_include__refused_by_a_model__is_left_out_from_then_on(
    indoors: World, gateway: Runtime
) -> None:
    asked: list[Any] = []

    async def serve(request: web.Request) -> web.Response:
        body = await request.json()
        asked.append(body.get("include"))
        if body.get("include"):
            error = "Encrypted content is not supported with this model."
            said = {"error": {"message": error, "param": "include"}}
            return web.json_response(said, status=400)
        return web.json_response({"status": "completed", "output": []})

    app = web.Application()
    app.router.add_post("/v1/responses", serve)
    async with TestServer(app) as server:
        url = str(server.make_url("/v1"))
        served = indoors.serve_at((url, unique("m")), provider_kind="openai")
        for _ in range(2):
            assert (await respond(indoors, gateway, served.model)).status == 200
    assert asked == [["reasoning.encrypted_content"], None, None]


PARTS = [
    {"type": "text", "text": "Hel"},
    {"type": "odd"},
    {"type": "text", "text": "lo"},
]
ODD = [
    {"content": PARTS},
    {"content": "Hello", "tool_calls": "x"},
    {"content": "Hello", "reasoning_details": {"odd": 1}, "refusal": 5},
]


@pytest.mark.parametrize("said", ODD)
@pytest.mark.parametrize("stream", [False, True])
async def test_translation__of_what_has_other_forms__is_no_failure_of_the_provider(
    indoors: World, gateway: Runtime, said: Json, stream: bool
) -> None:
    whole = {"choices": [{"message": said, "finish_reason": "stop"}]}
    parts = [chunk(**said), chunk(), DONE] if stream else [orjson.dumps(whole)]
    async with upstream(*parts) as url:
        served = indoors.serve_at((url, "m"))
        for _ in range(6):
            answer = await respond(indoors, gateway, served.model, stream=stream)
            assert answer.status == 200
        look = await gateway.board.read(Name(served.providers[0], "m"))
    assert look.state is BreakerState.CLOSED
    response = check_stream(answer.body)[-1]["response"] if stream else answer.json
    check_response(response)
    texts = [item["content"][0]["text"] for item in response["output"][-1:]]
    assert texts == ["Hello"]
