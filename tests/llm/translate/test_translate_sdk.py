"""The official SDK, talking to a server of translated chats, notices nothing."""

import asyncio
import json

import openai
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from llm.translate import ResponseStream, to_chat, to_response
from valuecanvas.core.errors import GatewayError

WORDS = ["The ", "sum ", "is ", "4", "."]
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 5,
    "total_tokens": 16,
    "prompt_tokens_details": {"cached_tokens": 2},
}
TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Sum(BaseModel):
    total: int


def answer(chat):
    """What a chat provider would answer: deltas, and how it ended."""
    last = chat["messages"][-1]
    if last["role"] == "tool":
        return [{"content": f"It is {last['content']} there."}], "stop"
    if "tools" in chat:
        calls = [
            {"index": i, "id": f"call_{i}", "function": {"name": "weather"}}
            for i in range(2)
        ]
        rest = [
            {"index": i, "function": {"arguments": piece}}
            for i, city in enumerate(["Rome", "Oslo"])
            for piece in ('{"city":', f'"{city}"}}')
        ]
        deltas = [calls[0], *rest[:2], calls[1], *rest[2:]]
        return [{"tool_calls": [delta]} for delta in deltas], "tool_calls"
    if "response_format" in chat:
        return [{"content": '{"total"'}, {"content": ": 4}"}], "stop"
    if last["content"] == "refuse":
        return [{"refusal": "I "}, {"refusal": "won't."}], "stop"
    if last["content"] == "think":
        return [{"reasoning_content": "2+2"}, {"content": "4"}], "stop"
    return [{"content": word} for word in WORDS], "stop"


def chunks(chat):
    deltas, finish = answer(chat)
    for delta in [{"role": "assistant", "content": ""}, *deltas]:
        yield {"model": "up", "choices": [{"index": 0, "delta": delta}]}
    cut = "length" if chat.get("max_tokens") else finish
    yield {"model": "up", "choices": [{"index": 0, "delta": {}, "finish_reason": cut}]}
    yield {"model": "up", "choices": [], "usage": USAGE}


def whole(chat):
    deltas, finish = answer(chat)
    content = "".join(delta.get("content", "") for delta in deltas)
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"model": "up", "choices": [choice], "usage": USAGE}


async def respond(request):
    body = await request.json()
    try:
        chat = to_chat(body)
    except GatewayError as error:
        return web.json_response(error.body(), status=error.status)
    made = {"request": body, "response_id": "resp_1", "created": 1_700_000_000}
    if not body.get("stream"):
        return web.json_response(to_response(whole(chat), **made))
    sent = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await sent.prepare(request)
    stream = ResponseStream(**made)
    for number, chunk in enumerate(chunks(chat)):
        if body["input"] == "break" and number == 3:
            gone = {"message": "gone", "type": "upstream_error", "code": "x"}
            await sent.write(b"".join(stream.fail({**gone, "param": None})))
            return sent
        await sent.write(b"".join(stream.feed(chunk)))
    await sent.write(b"".join(stream.finish()))
    return sent


@pytest.fixture
async def url():
    app = web.Application()
    app.router.add_post("/v1/responses", respond)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1"))


@pytest.fixture
async def client(url):
    async with AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as made:
        yield made


async def test_sdk__create__reads_the_answer(client):
    response = await client.responses.create(model="m", input="2+2?")
    assert response.output_text == "The sum is 4."
    assert response.usage.input_tokens_details.cached_tokens == 2


async def test_sdk__create_streamed__reads_every_event(client):
    stream = await client.responses.create(model="m", input="2+2?", stream=True)
    events = [event async for event in stream]
    numbers = [event.sequence_number for event in events]
    assert numbers == list(range(len(events)))
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert deltas == WORDS
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "The sum is 4."
    assert events[-1].response.usage.total_tokens == 16


async def test_sdk__the_sync_client__reads_the_same(url):
    def read():
        with OpenAI(base_url=url, api_key="k", max_retries=0) as client:
            stream = client.responses.create(model="m", input="2+2?", stream=True)
            events = list(stream)
            with client.responses.stream(model="m", input="2+2?") as helper:
                return events, helper.get_final_response()

    events, final = await asyncio.to_thread(read)
    assert events[-1].response.output_text == final.output_text == "The sum is 4."


async def test_sdk__stream_helper__gathers_the_text(client):
    async with client.responses.stream(model="m", input="2+2?") as stream:
        snapshots = [
            event.snapshot
            async for event in stream
            if event.type == "response.output_text.delta"
        ]
        final = await stream.get_final_response()
    assert snapshots[-1] == final.output_text == "The sum is 4."


async def test_sdk__stream_helper__parses_structured_output(client):
    async with client.responses.stream(
        model="m", input="2+2?", text_format=Sum
    ) as stream:
        final = await stream.get_final_response()
    assert final.output_parsed == Sum(total=4)
    parsed = await client.responses.parse(model="m", input="2+2?", text_format=Sum)
    assert parsed.output_parsed == Sum(total=4)


async def test_sdk__stream_helper__gathers_parallel_calls(client):
    async with client.responses.stream(
        model="m", input="weather?", tools=[TOOL]
    ) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds.count("response.function_call_arguments.done") == 2
    assert [call.call_id for call in final.output] == ["call_0", "call_1"]
    cities = [json.loads(call.arguments)["city"] for call in final.output]
    assert cities == ["Rome", "Oslo"]
    assert [call.parsed_arguments for call in final.output] == [
        {"city": "Rome"},
        {"city": "Oslo"},
    ]


async def test_sdk__a_tool_loop__runs_to_its_answer(client):
    history = [{"role": "user", "content": "weather?"}]
    stream = await client.responses.create(
        model="m", input=history, tools=[TOOL], stream=True
    )
    response = [event async for event in stream][-1].response
    history += [item.model_dump(exclude_none=True) for item in response.output]
    history += [
        {"type": "function_call_output", "call_id": c.call_id, "output": "sunny"}
        for c in response.output
    ]
    final = await client.responses.create(model="m", input=history, tools=[TOOL])
    assert final.output_text == "It is sunny there."


async def test_sdk__stream_helper__reads_reasoning_and_refusal(client):
    async with client.responses.stream(model="m", input="think") as stream:
        final = await stream.get_final_response()
    assert [item.type for item in final.output] == ["reasoning", "message"]
    async with client.responses.stream(model="m", input="refuse") as stream:
        final = await stream.get_final_response()
    assert final.output[0].content[0].refusal == "I won't."


async def test_sdk__an_answer_cut_short__ends_incomplete(client):
    stream = await client.responses.create(
        model="m", input="2+2?", max_output_tokens=5, stream=True
    )
    last = [event async for event in stream][-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"


async def test_sdk__a_stream_that_breaks__raises(client):
    stream = await client.responses.create(model="m", input="break", stream=True)
    seen = []
    with pytest.raises(openai.APIError, match="gone") as caught:
        async for event in stream:
            seen.append(event.type)
    assert caught.value.code == "x"
    assert seen[-1] == "response.output_text.delta"


async def test_sdk__something_untranslatable__raises_bad_request(client):
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(model="m", input="x", background=True)
    assert caught.value.param == "background"
