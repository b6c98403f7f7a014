"""Chats with the demo provider over HTTP: content, limits, usage."""

import json
from io import BytesIO

import aiohttp
import jsonschema
import pytest

from tests.fixtures_demo import content_of
from valuecanvas.embedded.demo_provider import token_text
from valuecanvas.embedded.demo_provider.canvas import BLOCKS

CANVAS = "Generate a business model canvas for a SaaS platform"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
            "required": ["city"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}


async def test_chat__canvas_prompt__has_nine_blocks_and_says_demo(demo_server):
    body = await demo_server.answer("demo", CANVAS)
    text = body["choices"][0]["message"]["content"]
    assert [line[3:] for line in text.split("\n") if line.startswith("## ")] == [
        *BLOCKS
    ]
    assert "SaaS platform" in text.split("\n")[0]
    assert "demo answer" in text.split("\n")[-1]
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["prompt_tokens"] == token_text.count(CANVAS)
    assert body["usage"]["completion_tokens"] == token_text.count(text)
    total = token_text.count(CANVAS) + token_text.count(text)
    assert body["usage"]["total_tokens"] == total


async def test_chat__canvas_in_the_system_prompt__uses_the_user_words(demo_server):
    messages = [
        {"role": "system", "content": "You draw business model canvases."},
        {"role": "user", "content": "A pizza truck in Naples"},
        {"role": "assistant", "content": "Which one?"},
        {"role": "user", "content": "do it"},
    ]
    async with demo_server.post(
        "chat/completions", model="demo", messages=messages
    ) as response:
        body = await response.json()
    assert "pizza truck" in body["choices"][0]["message"]["content"].lower()


async def test_chat__other_prompt__gets_short_advice(demo_server):
    body = await demo_server.answer("demo", "How should I price my consulting?")
    text = body["choices"][0]["message"]["content"]
    assert "price" in text
    assert "demo answer" in text


async def test_chat__same_request_twice__same_bytes(demo_server):
    async with demo_server.chat("demo", CANVAS) as response:
        first = await response.read()
    async with demo_server.chat("demo", CANVAS) as response:
        assert await response.read() == first
    assert (await demo_server.answer("demo", "x1"))["id"] not in first.decode()


@pytest.mark.parametrize("include_usage", [True, False])
async def test_stream__usage__comes_only_when_asked(demo_server, include_usage):
    options = {"include_usage": include_usage}
    *chunks, done = await demo_server.events("demo", stream_options=options)
    assert done == "[DONE]"
    whole = await demo_server.answer("demo")
    text = whole["choices"][0]["message"]["content"]
    assert "".join(content_of(chunks)) == text
    assert content_of(chunks) == token_text.split(text)
    if include_usage:
        *chunks, last = chunks
        assert last["choices"] == []
        assert last["usage"] == whole["usage"]
        assert all(chunk["usage"] is None for chunk in chunks)
    else:
        assert all("usage" not in chunk for chunk in chunks)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert {c["choices"][0]["finish_reason"] for c in chunks[:-1]} == {None}
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_chat__limit__cuts_with_finish_length(demo_server, field):
    body = await demo_server.answer("demo", CANVAS, **{field: 7})
    assert body["usage"]["completion_tokens"] == 7
    assert body["choices"][0]["finish_reason"] == "length"
    chunks = await demo_server.events("demo", CANVAS, **{field: 7})
    assert len(content_of(chunks)) == 7
    assert chunks[-2]["choices"][0]["finish_reason"] == "length"


async def test_chat__n__gives_that_many_choices(demo_server):
    body = await demo_server.answer("demo", n=3)
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    size = token_text.count(body["choices"][0]["message"]["content"])
    assert body["usage"]["completion_tokens"] == 3 * size
    *chunks, _done = await demo_server.events("demo", n=3)
    assert len(content_of(chunks)) == 3 * size
    for index in range(3):
        mine = [c for c in chunks if c["choices"][0]["index"] == index]
        assert "".join(content_of(mine)) == body["choices"][0]["message"]["content"]


async def test_chat__images__are_counted(demo_server):
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    text = {"type": "text", "text": "What is this?"}
    for images in (1, 2):
        body = await demo_server.answer("demo", [text, *[image] * images])
        wanted = token_text.count("What is this?") + 85 * images
        assert body["usage"]["prompt_tokens"] == wanted


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (None, "weather"),
        ("auto", "weather"),
        ("required", "weather"),
        ({"type": "function", "function": {"name": "clock"}}, "clock"),
        ("none", None),
    ],
)
async def test_chat__tools__are_called_as_chosen(demo_server, choice, name):
    body = await demo_server.answer("demo", tools=[WEATHER, CLOCK], tool_choice=choice)
    choice = body["choices"][0]
    if name is None:
        assert "tool_calls" not in choice["message"]
        return
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    [call] = choice["message"]["tool_calls"]
    assert call["function"]["name"] == name
    wanted = {"city": "demo city"} if name == "weather" else {}
    assert json.loads(call["function"]["arguments"]) == wanted


async def test_stream__tool_call__adds_up(demo_server):
    *chunks, _done = await demo_server.events(
        "demo", tools=[WEATHER], stream_options={"include_usage": True}
    )
    parts = [
        c["choices"][0]["delta"]["tool_calls"][0] for c in chunks[1:-2] if c["choices"]
    ]
    assert parts[0]["function"] == {"name": "weather", "arguments": ""}
    assert parts[0]["id"].startswith("call_")
    arguments = "".join(part["function"]["arguments"] for part in parts)
    assert json.loads(arguments) == {"city": "demo city"}
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert chunks[-1]["usage"]["completion_tokens"] == len(parts)


async def test_chat__tool_result__is_answered_in_words(demo_server):
    call = {"id": "c1", "type": "function", "function": {"name": "weather"}}
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny, 21 C"},
    ]
    async with demo_server.post(
        "chat/completions", model="demo", messages=messages, tools=[WEATHER]
    ) as response:
        body = await response.json()
    assert "sunny, 21 C" in body["choices"][0]["message"]["content"]


async def test_chat__json_schema__is_satisfied(demo_server):
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "key_partners": {"type": "array", "items": {"type": "string"}},
            "score": {"type": "integer", "minimum": 3},
        },
        "required": ["title", "key_partners", "score"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "c", "schema": schema}}
    body = await demo_server.answer("demo", CANVAS, response_format=form)
    value = json.loads(body["choices"][0]["message"]["content"])
    jsonschema.validate(value, schema)
    assert "Cloud and payment providers" in value["key_partners"]


@pytest.mark.parametrize(("text", "key"), [("hi", "answer"), (CANVAS, "Channels")])
async def test_chat__json_object__is_an_object(demo_server, text, key):
    form = {"type": "json_object"}
    body = await demo_server.answer("demo", text, response_format=form)
    value = json.loads(body["choices"][0]["message"]["content"])
    assert value["demo"] is True
    assert key in value


BAD = [
    ({"messages": [{"role": "user", "content": "x"}]}, 400, "model"),
    ({"model": 3, "messages": [{"role": "user", "content": "x"}]}, 400, "model"),
    ({"model": "demo"}, 400, "messages"),
    ({"model": "demo", "messages": []}, 400, "messages"),
    ({"model": "demo", "messages": ["x"]}, 400, "messages[0].role"),
]


@pytest.mark.parametrize(("body", "status", "param"), BAD)
async def test_chat__bad_body__is_refused_with_its_param(
    demo_server, body, status, param
):
    async with demo_server.post("chat/completions", **body) as response:
        assert response.status == status
        error = (await response.json())["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_tokens", 0), ("max_tokens", "9"), ("n", 129), ("n", True)],
)
async def test_chat__bad_number__is_refused(demo_server, field, value):
    async with demo_server.chat("demo", **{field: value}) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == field


async def test_chat__unknown_tool_choice__is_refused(demo_server):
    choice = {"type": "function", "function": {"name": "radar"}}
    async with demo_server.chat("demo", tools=[CLOCK], tool_choice=choice) as response:
        assert response.status == 400


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b'{"model": "\xff"}'])
async def test_chat__not_a_json_object__is_refused(demo_server, raw):
    url = f"{demo_server.url}/v1/chat/completions"
    async with demo_server.client.post(url, data=raw) as response:
        assert response.status == 400


async def test_chat__body_over_the_limit__is_413(demo_server):
    url = f"{demo_server.url}/v1/chat/completions"
    big = BytesIO(b"x" * 64_000_001)
    async with demo_server.client.post(url, data=big) as response:
        assert response.status == 413
        assert (await response.json())["error"]["code"] == "request_too_large"


async def test_chat__odd_content__is_tolerated(demo_server):
    for content in (None, 7, [], ["x", {"type": "file"}]):
        body = await demo_server.answer("demo", content)
        assert body["choices"][0]["message"]["content"]


async def test_chat__odd_tools__are_passed_over(demo_server):
    for tools in ("x", [], [{"type": "custom"}], ["x"]):
        body = await demo_server.answer("demo", tools=tools)
        assert body["choices"][0]["finish_reason"] == "stop"


async def test_server__unknown_url__is_404_in_the_openai_body(demo_server):
    async with aiohttp.request("GET", f"{demo_server.url}/v2/x") as response:
        assert response.status == 404
        assert "GET /v2/x" in (await response.json())["error"]["message"]
