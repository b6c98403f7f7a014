"""A made-up chat in chunks, and the Responses events it becomes, checked."""

import orjson
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from llm.translate import ResponseStream

EVENT = TypeAdapter(ResponseStreamEvent)
REQUEST = {"model": "asked", "input": "hi", "instructions": "Be kind."}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
TEXT_EVENTS = [
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
]
CALL_EVENTS = [
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
]


def new_stream():
    return ResponseStream(request=REQUEST, response_id="resp_ab", created=1_700_000_000)


def chunk(finish_reason=None, **delta):
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "c1", "model": "upstream", "choices": [choice], "usage": None}


def call(index=0, call_id=None, name=None, arguments=None):
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": call_id, "function": function}


def parsed(events):
    """The data of encoded events, each checked for its form."""
    found = []
    for event in events:
        first, second, *rest = event.decode().split("\n")
        assert rest == ["", ""]
        data = orjson.loads(second.removeprefix("data: "))
        assert first == f"event: {data['type']}"
        assert second.startswith("data: ")
        EVENT.validate_python(data)
        found.append(data)
    return found


def run(*chunks):
    """All events of a stream of `chunks` that ends well."""
    stream = new_stream()
    events = [event for part in chunks for event in stream.feed(part)]
    found = parsed(events + stream.finish())
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def kinds(events):
    """The types of events, neighbouring equal ones once."""
    names = [event["type"] for event in events]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


def joined(events, kind, index):
    return "".join(
        event["delta"]
        for event in events
        if event["type"] == kind and event["output_index"] == index
    )
