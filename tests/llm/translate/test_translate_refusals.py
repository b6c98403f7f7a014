"""What a chat can't express, or is malformed, is refused under its own name."""

import random

import pytest

from llm.translate import to_chat
from valuecanvas.core.errors import InvalidRequest

CLOCK = {"type": "function", "name": "clock", "parameters": {"type": "object"}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def chat(**body):
    return to_chat({"model": "m", "input": "hi", **body})


def user(*parts):
    return {"role": "user", "content": list(parts)}


def output(call_id, value):
    return {"type": "function_call_output", "call_id": call_id, "output": value}


def refused(**body):
    with pytest.raises(InvalidRequest) as caught:
        chat(**body)
    return caught.value


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"n": 2}, "n"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [CLOCK, {"type": "file_search"}]}, "tools[1].type"),
        ({"tools": [{"type": "computer_use_preview"}]}, "tools[0].type"),
        ({"tools": [{"type": "local_shell"}]}, "tools[0].type"),
        ({"tools": [CLOCK], "tool_choice": {"type": "mcp"}}, "tool_choice.type"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": [{"id": "x"}]}, "input[0]"),
        ({"input": [{"type": "web_search_call", "id": "x"}]}, "input[0].type"),
        (
            {"input": [user({"type": "input_image", "file_id": "f"})]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [user({"type": "input_file", "file_url": "http://x"})]},
            "input[0].content[0].file_url",
        ),
        (
            {"input": [output("1", [{"type": "computer_screenshot"}])]},
            "input[0].output[0].type",
        ),
        ({"input": [user({"type": "hologram"})]}, "input[0].content[0].type"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"messages": []}, "messages"),
    ],
)
def test_to_chat__what_a_chat_cannot_say__is_refused_by_name(body, param):
    error = refused(**body)
    assert (error.status, error.param) == (400, param)
    assert error.code == "unsupported_parameter"


def test_to_chat__a_refusal__names_field_and_remedy():
    error = refused(previous_response_id="resp_1")
    assert "'previous_response_id' is not supported" in error.message
    assert "Send the whole conversation in 'input'." in error.message
    assert "'max_output_tokens'" in refused(max_tokens=5).message


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [user("x")]}, "input[0].content[0]"),
        ({"input": [user({"type": "input_text"})]}, "input[0].content[0].text"),
        ({"input": [user({"type": "text"})]}, "input[0].content[0].text"),
        (
            {"input": [user({"type": "image_url", "image_url": "x"})]},
            "input[0].content[0].image_url",
        ),
        (
            {"input": [user({"type": "input_video"})]},
            "input[0].content[0].video_url",
        ),
        ({"truncation": "middle"}, "truncation"),
        ({"tools": [{**CLOCK, "parameters": "x"}]}, "tools[0].parameters"),
        ({"tools": [{**CLOCK, "strict": "x"}]}, "tools[0].strict"),
        ({"tools": [{**CLOCK, "description": 5}]}, "tools[0].description"),
        (
            {"input": [user({"type": "input_image"})]},
            "input[0].content[0].image_url",
        ),
        (
            {"input": [user({"type": "input_file"})]},
            "input[0].content[0].file_data",
        ),
        ({"input": [{"type": "function_call"}]}, "input[0].call_id"),
        (
            {"input": [{"type": "custom_tool_call", "call_id": "1", "name": "c"}]},
            "input[0].input",
        ),
        ({"tools": [{"type": "custom"}]}, "tools[0].name"),
        ({"tools": [{"type": "custom", "name": "c", "format": 5}]}, "tools[0].format"),
        ({"instructions": ["x"]}, "instructions"),
        ({"text": "x"}, "text"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name"),
        (
            {"text": {"format": {"type": "json_schema", "name": "n"}}},
            "text.format.schema",
        ),
        ({"tools": {}, "reasoning": 5}, "reasoning"),
        ({"tools": "x"}, "tools"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].name"),
        ({"tools": [CLOCK], "tool_choice": 5}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {
                "tools": [CLOCK],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [
                        {"type": "function", "name": "clock"},
                        {"type": "function", "name": "other"},
                    ],
                },
            },
            "tool_choice.tools",
        ),
        (
            {
                "tools": [CLOCK],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "never",
                    "tools": [{"type": "function", "name": "clock"}],
                },
            },
            "tool_choice.mode",
        ),
        ({"include": "x"}, "include"),
    ],
)
def test_to_chat__a_bad_value__is_refused_by_name(body, param):
    error = refused(**body)
    assert (error.status, error.param) == (400, param)


def spoiled(value, dice):
    """`value` with one place in it replaced by junk."""
    junk = dice.choice([None, 0, "", "x", [], {}, [1], {"type": "x"}, True, 1.5])
    if dice.random() < 0.25 or not isinstance(value, dict | list) or not value:
        return junk
    copy = value.copy()
    key = dice.choice(list(copy)) if isinstance(copy, dict) else 0
    copy[key] = spoiled(copy[key], dice)
    return copy


def test_to_chat__spoiled_requests__are_translated_or_refused_never_a_crash():
    good = {
        "model": "m",
        "instructions": "i",
        "input": [
            user({"type": "input_image", "image_url": "x"}),
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "r"}]},
            {
                "type": "function_call",
                "call_id": "1",
                "name": "clock",
                "arguments": "{}",
            },
            output("1", [{"type": "input_text", "text": "t"}]),
        ],
        "tools": [CLOCK],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "clock"}],
        },
        "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
        "reasoning": {"effort": "low"},
        "include": ["x"],
        "truncation": "disabled",
    }
    dice = random.Random(7)
    refusals = 0
    for _ in range(3000):
        body = spoiled(good, dice)
        if not isinstance(body, dict):
            continue
        body["input"] = spoiled(good["input"], dice)
        try:
            assert to_chat(body)["messages"]
        except InvalidRequest as error:
            assert error.param
            refusals += 1
    assert refusals > 100
