"""Whatever a chat provider answers, what we make of it is as Open Responses has it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm.translate import ResponseStream, to_chat, to_response
from tests.llm.chat_chunks import call, chunk
from tests.open_responses import check_response, check_stream
from valuecanvas.core.errors import GatewayError

Json = dict[str, Any]
TOOL: Json = {"type": "function", "name": "f", "parameters": {"type": "object"}}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
SHAPE = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
LOGPROB = {"token": "x", "logprob": -0.5, "bytes": None, "top_logprobs": []}
REQUESTS: dict[str, Json] = {
    "bare": {},
    "all": {
        "instructions": "Be kind.",
        "max_output_tokens": 50,
        "max_tool_calls": 3,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "prompt_cache_key": "k",
        "reasoning": {"effort": "low", "summary": "auto"},
        "safety_identifier": "s",
        "service_tier": "auto",
        "store": True,
        "temperature": 0,
        "text": {"verbosity": "low", "format": {"type": "json_object"}},
        "tools": [TOOL],
        "tool_choice": {"type": "function", "name": "f"},
        "top_logprobs": 2,
        "top_p": 0.5,
        "truncation": "auto",
        "user": "u",
    },
    "nulls": dict.fromkeys(
        ("instructions", "max_output_tokens", "metadata", "temperature", "top_p",
         "service_tier", "text", "tools", "tool_choice", "reasoning", "truncation")
    ),
    "schema": {"text": {"format": SHAPE}},
    "allowed": {
        "tools": [TOOL],
        "tool_choice": {
            "type": "allowed_tools",
            "tools": [{"type": "function", "name": "f"}],
        },
    },
    "other words": {
        "reasoning": {"effort": "minimal"},
        "text": {"verbosity": "x"},
        "temperature": "0.5",
    },
}  # fmt: skip
ANSWERS: dict[str, list[Json]] = {
    "text": [chunk(content="Hel"), chunk(content="lo"), chunk("stop")],
    "refusal": [chunk(refusal="I "), chunk(refusal="won't."), chunk("stop")],
    "reasoning": [chunk(reasoning="Hm"), chunk(content="Yes."), chunk("stop")],
    "reasoning alone": [chunk(reasoning_content="Hm"), chunk("length")],
    "a call": [chunk(tool_calls=[call(0, "1", "f", "{}")]), chunk("tool_calls")],
    "calls at once": [
        chunk(content="Look."),
        chunk(tool_calls=[call(0, "1", "f", '{"a"'), call(1, "2", "g", "{}")]),
        chunk(tool_calls=[call(0, arguments=":1}")]),
        chunk("tool_calls"),
    ],
    "a call without name": [chunk(tool_calls=[call(0, None, None, "{}")])],
    "length": [chunk(content="Once"), chunk("length")],
    "filter": [chunk(content="Once"), chunk("content_filter")],
    "empty": [chunk("stop")],
    "logprobs": [
        {"choices": [{"delta": {"content": "x"}, "logprobs": {"content": [LOGPROB]}}]}
    ],
    "a tier of its own": [{**chunk(content="x"), "service_tier": "on_demand"}],
}


def asked(fields: Json) -> Json:
    request = {"model": "m", "input": "hi", **fields}
    to_chat(request)
    return request


def new_stream(fields: Json) -> ResponseStream:
    return ResponseStream(
        request=asked(fields), response_id="resp_ab", created=1_700_000_000
    )


def streamed(answer: list[Json], fields: Json) -> list[Json]:
    stream = new_stream(fields)
    events = [event for part in answer for event in stream.feed(part)]
    events += stream.feed({"choices": [], "usage": USAGE})
    events += stream.finish(1_700_000_009)
    return check_stream(b"".join(events), done=False)


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("answer_name", ANSWERS)
def test_stream__any_answer_to_any_request__is_as_specified(
    answer_name: str, request_name: str
) -> None:
    events = streamed(ANSWERS[answer_name], REQUESTS[request_name])
    done = events[-1]["response"]
    ended = 1_700_000_009 if done["status"] == "completed" else None
    assert done["completed_at"] == ended
    assert events[0]["response"]["completed_at"] is None


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("code", ["rate_limit_exceeded", "stream_interrupted", None])
def test_fail__at_any_point__is_as_specified(code: str | None, begun: bool) -> None:
    stream = new_stream({})
    events = stream.feed(chunk(content="Once")) if begun else []
    events += stream.fail({"message": "gone", "code": code})
    found = check_stream(b"".join(events), done=False)
    assert [event["type"] for event in found[-2:]] == ["error", "response.failed"]


@pytest.mark.parametrize("fields", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("finish", ["stop", "content_filter"])
@pytest.mark.parametrize(
    "message",
    [
        {"content": "Hello!"},
        {"content": None, "refusal": "No."},
        {"content": "Yes.", "reasoning": "Hm."},
        {"content": "", "tool_calls": [call(0, "1", "f", "{}"), call(1, "2", "g")]},
        {},
    ],
)
def test_to_response__any_answer_to_any_request__is_as_specified(
    message: Json, finish: str, fields: Json
) -> None:
    reply = {"choices": [{"message": message, "finish_reason": finish}], "usage": USAGE}
    response = to_response(
        reply, request=asked(fields), response_id="resp_1", created=9
    )
    check_response(response)


def test_echo__what_the_specification_wants__has_its_values() -> None:
    reply = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}
    found = to_response(
        reply, request=asked(REQUESTS["allowed"]), response_id="resp_1", created=9
    )
    assert (found["completed_at"], found["service_tier"]) == (9, "default")
    assert (found["temperature"], found["top_p"]) == (1, 1)
    assert (found["presence_penalty"], found["frequency_penalty"]) == (0, 0)
    assert found["tool_choice"]["mode"] == "auto"
    found = to_response(
        reply, request=asked(REQUESTS["all"]), response_id="resp_1", created=9
    )
    assert (found["temperature"], found["presence_penalty"]) == (0, 0.5)
    assert found["truncation"] == "auto"


# Anything that JSON can say, with the names that mean something here.
NAMES = st.sampled_from(
    ["content", "text", "type", "thinking", "reasoning", "summary", "function", "name",
     "arguments", "id", "index", "tool_calls", "refusal", "token", "logprob", "x"]
)  # fmt: skip
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False,
    allow_infinity=False) | st.sampled_from(["", "text", "thinking", "function", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
SAID = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("content", "reasoning", "reasoning_details", "thinking_blocks", "refusal",
         "tool_calls", "function_call", "audio"),
        ANY,
    ),
)  # fmt: skip
CHOICE = {"finish_reason": ANY, "logprobs": ANY, "index": ANY}
TOP = {"usage": ANY, "model": ANY, "service_tier": ANY}


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    said=SAID,
    choice=st.fixed_dictionaries({}, optional=CHOICE),
    top=st.fixed_dictionaries({}, optional=TOP),
)
def test_answer__whatever_it_holds__is_translated_and_as_specified(
    said: Json, choice: Json, top: Json
) -> None:
    reply = {**top, "choices": [{**choice, "message": said}]}
    check_response(to_response(reply, request=asked({}), response_id="r", created=1))
    streamed([{**top, "choices": [{**choice, "delta": said}]}] * 2, {})


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    fields=st.dictionaries(
        st.sampled_from([*REQUESTS["all"], "include", "background"]), ANY, max_size=3
    )
)
def test_request__whatever_it_holds__is_refused_by_name_or_echoed_as_specified(
    fields: Json,
) -> None:
    try:
        request = asked(fields)
    except GatewayError as error:
        assert (error.status, bool(error.param)) == (400, True)
        return
    reply = {"choices": [{"message": {"content": "x"}}]}
    check_response(to_response(reply, request=request, response_id="r", created=1))
