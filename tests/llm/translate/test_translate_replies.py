"""Chat completions become Response objects that the official SDK accepts."""

import pytest
from openai.types.responses import Response

from llm.translate import to_chat, to_response
from valuecanvas.core.errors import UpstreamError

CREATED = 1_700_000_000
TOOL = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {}},
    "strict": True,
}
REQUEST = {"model": "asked", "input": "hi"}


def reply(message, finish_reason="stop", **more):
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"id": "c1", "model": "upstream", "choices": [choice], **more}


def called(call_id, arguments="{}", name="weather"):
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def translated(message, finish_reason="stop", request=REQUEST, **more):
    response = to_response(
        reply(message, finish_reason, **more),
        request=request,
        response_id="resp_ab",
        created=CREATED,
    )
    return response, Response.model_validate(response)


def test_to_response__a_text__is_complete_and_readable_by_the_sdk():
    raw, response = translated({"role": "assistant", "content": "Hello!"})
    assert response.output_text == "Hello!"
    assert (response.id, response.object) == ("resp_ab", "response")
    assert (response.status, response.incomplete_details) == ("completed", None)
    assert (response.created_at, response.model) == (CREATED, "upstream")
    assert response.output[0].type == "message"
    assert response.output[0].status == "completed"
    assert raw["output"][0]["id"].startswith("msg_")
    assert response.usage is None


def test_to_response__usage__gets_its_responses_names():
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": None},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    raw, _ = translated({"content": "x"}, usage=usage)
    assert raw["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 17,
    }


def test_to_response__usage_without_details__is_filled_in():
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "cached_tokens": 1}
    _, response = translated({"content": "x"}, usage=usage)
    assert response.usage.total_tokens == 3
    assert response.usage.input_tokens_details.cached_tokens == 1
    assert response.usage.output_tokens_details.reasoning_tokens == 0


@pytest.mark.parametrize(
    ("finish_reason", "why"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_to_response__cut_short__is_incomplete_and_says_why(finish_reason, why):
    message = {"content": "Once", "reasoning_content": "Hm."}
    _, response = translated(message, finish_reason)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == why
    assert [item.status for item in response.output] == ["completed", "incomplete"]


@pytest.mark.parametrize("finish_reason", ["stop", "tool_calls", "eos", None, 5])
def test_to_response__other_ends__are_complete(finish_reason):
    assert translated({"content": "x"}, finish_reason)[1].status == "completed"


def test_to_response__calls_and_text__are_items_in_order():
    message = {
        "role": "assistant",
        "content": "Let me look.",
        "reasoning": "They want the weather.",
        "tool_calls": [called("call_1", '{"a":1}'), called("call_2")],
    }
    _, response = translated(message, "tool_calls")
    kinds = [item.type for item in response.output]
    assert kinds == ["reasoning", "message", "function_call", "function_call"]
    assert response.output[0].summary[0].text == "They want the weather."
    first, second = response.output[2:]
    assert (first.name, first.call_id, first.arguments) == (
        "weather",
        "call_1",
        '{"a":1}',
    )
    assert second.call_id == "call_2"
    assert len({item.id for item in response.output}) == 4


def test_to_response__missing_or_repeated_call_ids__are_made_distinct():
    calls = [called(""), called("x"), called("x"), {"function": None}]
    _, response = translated({"content": None, "tool_calls": calls})
    ids = [item.call_id for item in response.output]
    assert ids[1] == "x"
    assert len(set(ids)) == 4
    assert all(ids)


def test_to_response__a_refusal__is_a_part_of_the_message():
    _, response = translated({"content": None, "refusal": "I can't."})
    assert response.output[0].content[0].refusal == "I can't."
    assert response.output_text == ""


def test_to_response__an_empty_answer__has_no_items():
    _, response = translated({"content": None})
    assert response.output == []


def test_to_response__logprobs__have_lists_of_bytes():
    logprobs = {
        "content": [
            {
                "token": "x",
                "logprob": -0.1,
                "bytes": None,
                "top_logprobs": [{"token": "x", "logprob": -0.1, "bytes": [120]}],
            },
            {"token": "y", "logprob": -1.0},
        ]
    }
    answer = reply({"content": "xy"})
    answer["choices"][0]["logprobs"] = logprobs
    raw = to_response(answer, request=REQUEST, response_id="r", created=1)
    Response.model_validate(raw)
    tokens = raw["output"][0]["content"][0]["logprobs"]
    assert tokens[0]["bytes"] == []
    assert tokens[0]["top_logprobs"][0]["bytes"] == [120]
    assert tokens[1]["top_logprobs"] == []


def test_to_response__the_request__is_echoed():
    request = {
        "model": "asked",
        "input": "hi",
        "instructions": "Be kind.",
        "max_output_tokens": 50,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
        "store": True,
        "temperature": 0.5,
        "text": {"verbosity": "low"},
        "tool_choice": {"type": "function", "name": "weather"},
        "tools": [TOOL],
        "top_logprobs": 2,
        "top_p": 0.9,
        "user": "u",
        "service_tier": "flex",
    }
    to_chat(request)
    raw, response = translated({"content": "x"}, request=request)
    assert response.instructions == "Be kind."
    assert response.max_output_tokens == 50
    assert response.metadata == {"a": "b"}
    assert response.parallel_tool_calls is False
    assert response.reasoning.effort == "low"
    assert (response.temperature, response.top_p) == (0.5, 0.9)
    assert response.text.format.type == "text"
    assert response.text.verbosity == "low"
    assert response.tool_choice.name == "weather"
    assert response.tools[0].name == "weather"
    assert response.tools[0].strict is True
    assert (response.top_logprobs, response.user) == (2, "u")
    assert response.service_tier == "flex"
    assert raw["store"] is False


def test_to_response__a_bare_request__is_echoed_with_defaults():
    raw, response = translated({"content": "x"}, service_tier="on_demand")
    assert response.parallel_tool_calls is True
    assert (response.tool_choice, response.tools) == ("auto", [])
    assert (response.metadata, response.truncation) == ({}, "disabled")
    assert response.service_tier == "default"
    assert raw["text"] == {"format": {"type": "text"}}


def test_to_response__a_schema_format__is_echoed():
    shape = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    request = {**REQUEST, "text": {"format": shape}}
    _, response = translated({"content": "{}"}, request=request)
    assert response.text.format.name == "n"


def test_to_response__its_output__can_be_sent_back_as_input():
    message = {
        "content": "Let me look.",
        "reasoning": "Hm.",
        "tool_calls": [called("call_1")],
    }
    _, response = translated(message, "tool_calls")
    history = [item.model_dump() for item in response.output]
    answer = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    chat = to_chat({"model": "m", "input": [*history, answer]})
    assert chat["messages"] == [
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [called("call_1")],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]


THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}


@pytest.mark.parametrize(
    ("message", "text", "thoughts"),
    [
        ({"content": ["a", {"type": "text", "text": "b"}]}, "ab", ""),
        ({"content": [THINKING, {"type": "text", "text": "Yes."}]}, "Yes.", "Hm."),
        ({"content": {"a": 2**70}}, f'{{"a":{2**70}}}', ""),
        ({"content": 4}, "4", ""),
        ({"content": [{"type": "image_url"}, {"text": 5}]}, "", ""),
        ({"content": "x", "reasoning": 5}, "x", ""),
        ({"content": "x", "thinking_blocks": [{"thinking": "Hm."}]}, "x", "Hm."),
        (
            {"reasoning": "Hm.", "reasoning_details": [{"text": "Hm."}]},
            "",
            "Hm.",
        ),
        ({"reasoning_details": [{"summary": "Hm"}, {"text": "."}]}, "", "Hm."),
        ({"content": "x", "tool_calls": [5, None]}, "x", ""),
    ],
)
def test_to_response__what_comes_in_other_forms__is_read_or_left_out(
    message, text, thoughts
):
    _, response = translated(message)
    items = [item for item in response.output if item.type == "reasoning"]
    assert "".join(part.text for item in items for part in item.summary) == thoughts
    assert response.output_text == text


@pytest.mark.parametrize(
    "message",
    [
        {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
        {"function_call": {"name": "f", "arguments": '{"a":1}'}},
    ],
)
def test_to_response__calls_of_other_forms__are_calls(message):
    _, response = translated(message, "tool_calls")
    (item,) = response.output
    assert (item.name, item.arguments) == ("f", '{"a":1}')


@pytest.mark.parametrize("more", [{"usage": "x"}, {"usage": {"prompt_tokens": "3"}}])
def test_to_response__counts_that_are_none__are_left_out(more):
    raw, _ = translated({"content": "x"}, **more)
    assert not (raw["usage"] or {}).get("input_tokens")


def test_to_response__logprobs_of_another_form__are_left_out():
    answer = reply({"content": "xy"})
    good = {"token": "x", "logprob": -0.1}
    answer["choices"][0]["logprobs"] = {"content": [{"token": 5}, good, "odd"]}
    raw = to_response(answer, request=REQUEST, response_id="r", created=1)
    assert [one["token"] for one in raw["output"][0]["content"][0]["logprobs"]] == ["x"]


@pytest.mark.parametrize(
    "answer", [{}, {"choices": []}, {"choices": "x"}, {"choices": [5]}]
)
def test_to_response__a_reply_without_choices__is_the_providers_error(answer):
    with pytest.raises(UpstreamError, match="no choices") as caught:
        to_response(answer, request=REQUEST, response_id="r", created=1)
    assert (caught.value.status, caught.value.code) == (502, "malformed_reply")
