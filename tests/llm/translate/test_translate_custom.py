"""Custom tools, whose input is any text, go to a chat and back; and other contents."""

from typing import Any

import pytest
from openai.types.responses import Response

from llm.translate import to_chat, to_response
from tests.llm.chat_chunks import chunk, joined, kinds, run

GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": 'start: "x"'}
PATCH = {"type": "custom", "name": "patch", "description": "d", "format": GRAMMAR}
CLOCK = {"type": "function", "name": "clock", "parameters": {"type": "object"}}
MADE = {
    "id": "c1",
    "type": "custom",
    "custom": {"name": "patch", "input": "*** Begin"},
}


def test_to_chat__custom_tool__is_one_of_a_chat() -> None:
    chat = to_chat({"input": "hi", "tools": [PATCH, {"type": "custom", "name": "c"}]})
    rules = {"syntax": "lark", "definition": 'start: "x"'}
    shape = {"type": "grammar", "grammar": rules}
    made = {"name": "patch", "description": "d", "format": shape}
    assert chat["tools"] == [
        {"type": "custom", "custom": made},
        {"type": "custom", "custom": {"name": "c"}},
    ]


def test_to_chat__choice_of_a_custom_tool__is_that_of_a_chat() -> None:
    chosen = {"type": "custom", "name": "patch"}
    body = {"input": "hi", "tools": [CLOCK, PATCH], "tool_choice": chosen}
    wanted = {"type": "custom", "custom": {"name": "patch"}}
    assert to_chat(body)["tool_choice"] == wanted
    body["tool_choice"] = {"type": "allowed_tools", "tools": [chosen]}
    chat = to_chat(body)
    assert [tool["type"] for tool in chat["tools"]] == ["custom"]
    assert chat["tool_choice"] == "auto"


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (
            {"type": "input_video", "video_url": "data:video/mp4;base64,AA"},
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AA"}},
        ),
        (
            {"type": "input_image", "image_url": "data:x", "detail": "low"},
            {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
        ),
        ({"type": "image_url", "image_url": {"url": "x"}, "cache_control": {}}, None),
        ({"type": "text", "text": "x"}, None),
    ],
)
def test_to_chat__part_of_any_message__is_one_of_a_chat(
    part: dict[str, Any], sent: dict[str, Any] | None
) -> None:
    first = {"type": "input_text", "text": "Look:"}
    parts = [first, part]
    items = [
        {"role": "system", "content": parts},
        {"type": "function_call_output", "call_id": "1", "output": parts},
    ]
    for message in to_chat({"input": items})["messages"]:
        assert message["content"] == [{"type": "text", "text": "Look:"}, sent or part]


def test_to_response__custom_call__is_an_item_that_can_be_sent_back() -> None:
    choice = {"message": {"tool_calls": [MADE]}, "finish_reason": "tool_calls"}
    request = {"model": "m", "input": "hi", "tools": [PATCH, CLOCK]}
    found = to_response(
        {"choices": [choice]}, request=request, response_id="r", created=1
    )
    response = Response.model_validate(found)
    (item,) = response.output
    assert item.type == "custom_tool_call"
    assert (item.call_id, item.name, item.input) == ("c1", "patch", "*** Begin")
    assert found["tools"][0] == PATCH
    result = {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"}
    chat = to_chat({"input": [found["output"][0], result]})
    assert chat["messages"] == [
        {"role": "assistant", "content": None, "tool_calls": [MADE]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]


def test_stream__custom_call__comes_in_its_own_events() -> None:
    first = {**MADE, "index": 0, "custom": {"name": "patch", "input": "{}"}}
    more = {"index": 0, "custom": {"input": "\n*** End"}}
    events = run(chunk(tool_calls=[first]), chunk(tool_calls=[more]), chunk("stop"))
    assert kinds(events)[2:-1] == [
        "response.output_item.added",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
    ]
    said = "{}\n*** End"
    assert joined(events, "response.custom_tool_call_input.delta", 0) == said
    (item,) = events[-1]["response"]["output"]
    assert (item["type"], item["input"]) == ("custom_tool_call", said)
    assert item["id"].startswith("ctc_")
