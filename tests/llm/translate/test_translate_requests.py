"""Responses requests become chat requests, or are refused by name."""

import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import TypeAdapter

from llm.translate import to_chat

MESSAGES = TypeAdapter(list[ChatCompletionMessageParam])
TOOLS = TypeAdapter(list[ChatCompletionToolParam])
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": True,
}
CLOCK = {"type": "function", "name": "clock", "parameters": None}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def chat(**body):
    return to_chat({"model": "m", "input": "hi", **body})


def messages(*items, **body):
    said = chat(input=list(items), **body)["messages"]
    MESSAGES.validate_python(said)
    return said


def user(*parts):
    return {"role": "user", "content": list(parts)}


def test_to_chat__a_string__becomes_the_users_message():
    assert to_chat({"model": "m", "input": "hi", "instructions": "Be kind."}) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "hi"},
        ],
    }


def test_to_chat__fields_of_the_same_name__pass_as_they_are():
    same = {
        "temperature": 0.2,
        "top_p": 0.9,
        "metadata": {"a": "b"},
        "user": "u1",
        "store": False,
        "seed": 7,
        "service_tier": "flex",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "stop": ["x"],
        "a_field_of_tomorrow": {"x": [1]},
    }
    body = chat(**same)
    assert {name: body[name] for name in same} == same


def test_to_chat__renamed_fields__get_their_chat_names():
    body = chat(
        max_output_tokens=9,
        text={"verbosity": "low", "format": {"type": "text"}},
        reasoning={"effort": "high", "summary": "auto"},
        top_logprobs=3,
    )
    assert body["max_tokens"] == 9
    assert body["verbosity"] == "low"
    assert body["reasoning_effort"] == "high"
    assert (body["logprobs"], body["top_logprobs"]) == (True, 3)
    assert not body.keys() & {"max_output_tokens", "text", "reasoning"}


def test_to_chat__nulls_and_defaults__are_left_out():
    body = chat(
        previous_response_id=None,
        background=False,
        temperature=None,
        text=None,
        reasoning=None,
        tools=[],
        tool_choice="auto",
        parallel_tool_calls=True,
        truncation="disabled",
        top_logprobs=0,
        max_tool_calls=3,
        max_output_tokens=None,
        include=["reasoning.encrypted_content"],
        stream=False,
        stream_options={"include_obfuscation": False},
    )
    assert body.keys() == {"model", "messages", "stream"}


def test_to_chat__a_stream__asks_for_usage():
    assert chat(stream=True)["stream_options"] == {"include_usage": True}


def test_to_chat__logprobs_included__asks_for_them():
    body = chat(include=["message.output_text.logprobs"])
    assert body["logprobs"] is True
    assert "top_logprobs" not in body


def test_to_chat__text_formats__become_response_formats():
    named = {"type": "json_schema", "name": "out", "schema": SCHEMA}
    full = {**named, "strict": True, "description": "d"}
    inside = {"name": "out", "schema": SCHEMA}
    assert "response_format" not in chat(text={"format": {"type": "text"}})
    assert chat(text={"format": {"type": "json_object"}})["response_format"] == {
        "type": "json_object"
    }
    assert chat(text={"format": named})["response_format"] == {
        "type": "json_schema",
        "json_schema": inside,
    }
    assert chat(text={"format": full})["response_format"] == {
        "type": "json_schema",
        "json_schema": {**inside, "strict": True, "description": "d"},
    }


def test_to_chat__functions__are_nested():
    tools = chat(tools=[WEATHER, CLOCK], parallel_tool_calls=False)
    TOOLS.validate_python(tools["tools"])
    function = {name: value for name, value in WEATHER.items() if name != "type"}
    assert tools["tools"] == [
        {"type": "function", "function": function},
        {"type": "function", "function": {"name": "clock"}},
    ]
    assert tools["parallel_tool_calls"] is False
    assert "tool_choice" not in tools


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_to_chat__a_plain_tool_choice__stays(choice):
    assert chat(tools=[CLOCK], tool_choice=choice)["tool_choice"] == choice


def test_to_chat__a_chosen_function__is_nested():
    body = chat(tools=[CLOCK], tool_choice={"type": "function", "name": "clock"})
    assert body["tool_choice"] == {"type": "function", "function": {"name": "clock"}}


def test_to_chat__allowed_tools__are_the_only_ones_offered():
    allowed = [{"type": "function", "name": "clock"}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": allowed}
    body = chat(tools=[WEATHER, CLOCK], tool_choice=choice)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["clock"]
    assert body["tool_choice"] == "required"


def test_messages__roles__keep_their_order_and_developer_is_system():
    assert messages(
        {"role": "developer", "content": "d"},
        {"type": "message", "role": "user", "content": "u"},
        {"role": "assistant", "content": "a"},
        {"role": "system", "content": "s"},
        instructions="i",
    ) == [
        {"role": "system", "content": "i"},
        {"role": "system", "content": "d"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "a"},
        {"role": "system", "content": "s"},
    ]


def test_messages__parts__become_chat_parts():
    said = messages(
        user({"type": "input_text", "text": "one"}),
        user(
            {"type": "input_text", "text": "what is this?"},
            {"type": "input_image", "image_url": "http://x/i.png", "detail": "low"},
            {"type": "input_image", "image_url": "data:x"},
            {"type": "input_file", "file_data": "data:y", "filename": "y.pdf"},
            {"type": "input_file", "file_id": "file-1"},
            {"type": "input_audio", "input_audio": {"data": "z", "format": "wav"}},
        ),
    )
    assert said[0]["content"] == "one"
    assert said[1]["content"] == [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": "http://x/i.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:x"}},
        {"type": "file", "file": {"file_data": "data:y", "filename": "y.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_audio", "input_audio": {"data": "z", "format": "wav"}},
    ]


def test_messages__an_earlier_answer__is_one_string():
    parts = [
        {"type": "output_text", "text": "a", "annotations": []},
        {"type": "output_text", "text": "b", "annotations": []},
        {"type": "refusal", "refusal": "c"},
    ]
    said = messages({"id": "m1", "role": "assistant", "content": parts})
    assert said == [{"role": "assistant", "content": "abc"}]


def call(call_id, name="clock"):
    return {
        "type": "function_call",
        "id": f"fc_{call_id}",
        "call_id": call_id,
        "name": name,
        "arguments": "{}",
    }


def chat_call(call_id):
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": "clock", "arguments": "{}"},
    }


def output(call_id, value):
    return {"type": "function_call_output", "call_id": call_id, "output": value}


def test_messages__parallel_calls__are_one_message_with_the_text_around_them():
    said = messages(
        {"role": "user", "content": "u"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"role": "assistant", "content": "Let me look."},
        call("1"),
        {"role": "assistant", "content": "And there."},
        call("2"),
        output("1", "one"),
        output("2", [{"type": "input_text", "text": "two"}]),
    )
    assert said[1:] == [
        {
            "role": "assistant",
            "content": "Let me look.\n\nAnd there.",
            "tool_calls": [chat_call("1"), chat_call("2")],
        },
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "tool", "tool_call_id": "2", "content": "two"},
    ]


def test_messages__calls_in_turn__keep_each_output_beside_its_call():
    said = messages(
        call("1"),
        {"role": "assistant", "content": "hm"},
        output("1", "one"),
        call("2"),
        output("2", "two"),
    )
    assert [message["role"] for message in said] == ["assistant", "tool"] * 2
    assert said[0]["content"] == "hm"
    assert said[2] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [chat_call("2")],
    }
