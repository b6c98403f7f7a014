"""The responses endpoint of the fault provider, where a model has it."""

import json

import pytest

from tests.open_responses import check_response, check_stream

TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]},
}


async def respond(fault_server, model="responses", **fields):
    """The JSON of a response that is not streamed."""
    async with fault_server.post("responses", model=model, **fields) as response:
        assert response.status == 200
        body = await response.json()
    check_response(body)
    return body


async def stream(fault_server, model="responses", *, done=True, **fields):
    """The events of a streamed response."""
    async with fault_server.post(
        "responses", model=model, stream=True, **fields
    ) as response:
        assert response.status == 200
        return check_stream(await response.read(), done=done)


async def test_responses__ordinary_model__is_404(fault_server):
    async with fault_server.post("responses", model="demo", input="hi") as response:
        assert response.status == 404


async def test_responses__text__agrees_with_its_stream(fault_server):
    body = await respond(fault_server, input="canvas for a bakery")
    events = await stream(fault_server, input="canvas for a bakery")
    text = body["output"][0]["content"][0]["text"]
    assert "demo answer" in text
    deltas = [e["delta"] for e in events if e["type"].endswith("text.delta")]
    assert "".join(deltas) == text
    assert body["usage"]["output_tokens"] == len(deltas)
    assert [e["sequence_number"] for e in events] == [*range(len(events))]
    assert events[0]["type"] == "response.created"
    assert events[-1]["type"] == "response.completed"
    last = events[-1]["response"]
    assert last["output"][0]["content"] == body["output"][0]["content"]
    assert last["usage"] == body["usage"]


async def test_responses__limit__is_incomplete(fault_server):
    body = await respond(fault_server, input="hi", max_output_tokens=3)
    assert body["status"] == "incomplete"
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    events = await stream(fault_server, input="hi", max_output_tokens=3)
    assert events[-1]["type"] == "response.incomplete"


async def test_responses__tool__is_called_then_answered(fault_server):
    body = await respond(fault_server, input="hi", tools=[TOOL])
    [call] = body["output"]
    assert (call["type"], call["name"]) == ("function_call", "weather")
    assert json.loads(call["arguments"]) == {"city": "demo city"}
    events = await stream(fault_server, input="hi", tools=[TOOL])
    parts = [e["delta"] for e in events if e["type"].endswith("arguments.delta")]
    assert "".join(parts) == call["arguments"]
    output = {"type": "function_call_output", "call_id": "x", "output": "rain"}
    items = [{"role": "user", "content": "hi"}, call, output]
    body = await respond(fault_server, input=items, tools=[TOOL])
    assert "rain" in body["output"][0]["content"][0]["text"]


async def test_responses__instructions_and_format__are_heeded(fault_server):
    form = {
        "type": "json_schema",
        "name": "c",
        "schema": {"properties": {"channels": {"items": {"type": "string"}}}},
    }
    body = await respond(
        fault_server,
        instructions="Draw a canvas.",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "Tea bar"}]}
        ],
        text={"format": form},
    )
    value = json.loads(body["output"][0]["content"][0]["text"])
    assert "Ordering online and delivery" in value["channels"]


@pytest.mark.parametrize("given", [None, "", [], ["x"]])
async def test_responses__bad_input__is_refused(fault_server, given):
    async with fault_server.post(
        "responses", model="responses", input=given
    ) as response:
        assert response.status == 400


async def test_responses__odd_fields__are_tolerated(fault_server):
    body = await respond(fault_server, input="hi", tools="x", text={"format": None})
    assert body["status"] == "completed"


async def test_responses__faults__apply_too(fault_server):
    events = await stream(
        fault_server, "responses+error-event@2", input="hi", done=False
    )
    assert events[-1]["type"] == "error"
    assert sum(e["type"].endswith("text.delta") for e in events) == 2
    body = await respond(fault_server, "responses+lie_usage-absent", input="hi")
    assert body["usage"] is None
    with pytest.raises(json.JSONDecodeError):
        await stream(fault_server, "responses+malformed@1", input="hi")
