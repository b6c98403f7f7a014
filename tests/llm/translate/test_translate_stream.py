"""Chat chunks become the Responses event stream: in order, whole, numbered."""

import pytest

from llm.translate import stream_output
from tests.llm.chat_chunks import (
    CALL_EVENTS,
    TEXT_EVENTS,
    USAGE,
    call,
    chunk,
    joined,
    kinds,
    new_stream,
    parsed,
    run,
)
from valuecanvas.core.errors import UpstreamError


def test_stream__a_text__comes_in_the_official_order():
    events = run(
        chunk(role="assistant", content=""),
        chunk(content="Hel"),
        chunk(content="lo"),
        chunk("stop"),
        {"choices": [], "usage": USAGE},
    )
    assert kinds(events) == [
        "response.created",
        "response.in_progress",
        *TEXT_EVENTS,
        "response.completed",
    ]
    assert [event["delta"] for event in events if "delta" in event] == ["Hel", "lo"]
    created, last = events[0]["response"], events[-1]["response"]
    assert (created["status"], created["output"], created["usage"]) == (
        "in_progress",
        [],
        None,
    )
    assert created["model"] == last["model"] == "upstream"
    assert created["instructions"] == last["instructions"] == "Be kind."
    assert last["status"] == "completed"
    assert last["usage"]["total_tokens"] == 7
    assert last["output"][0]["content"][0]["text"] == "Hello"
    assert last["output"] == [
        event["item"] for event in events if event["type"].endswith("item.done")
    ]


def test_stream__feeding_a_delta__gives_its_event_at_once():
    stream = new_stream()
    stream.feed(chunk(content="a"))
    (event,) = parsed(stream.feed(chunk(content='"\n\u00e9\U0001f600')))
    assert event["delta"] == '"\n\u00e9\U0001f600'
    assert stream.feed(chunk(content="")) == []


def test_stream__parallel_calls__come_one_after_the_other():
    events = run(
        chunk(content="Let me look."),
        chunk(tool_calls=[call(0, "call_1", "weather", "")]),
        chunk(tool_calls=[call(0, arguments='{"a"')]),
        chunk(tool_calls=[call(0, arguments=":1}")]),
        chunk(tool_calls=[call(1, "call_2", "clock", "{}")]),
        chunk("tool_calls"),
    )
    assert kinds(events)[2:-1] == [*TEXT_EVENTS, *CALL_EVENTS, *CALL_EVENTS]
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == [
        "message",
        "function_call",
        "function_call",
    ]
    assert output[1]["arguments"] == '{"a":1}'
    assert (output[2]["call_id"], output[2]["name"]) == ("call_2", "clock")


def test_stream__calls_mixed_together__lose_nothing():
    events = run(
        chunk(tool_calls=[call(0, "1", "f", '{"a"'), call(1, "2", "g", '{"b"')]),
        chunk(tool_calls=[call(0, arguments=":1"), call(1, arguments=":2")]),
        chunk(content="between"),
        chunk(tool_calls=[call(1, arguments="}"), call(0, arguments="}")]),
        chunk("tool_calls"),
    )
    output = events[-1]["response"]["output"]
    assert [item.get("arguments") for item in output] == ['{"a":1}', '{"b":2}', None]
    assert output[2]["content"][0]["text"] == "between"


@pytest.mark.parametrize("index", [0, None, "x"])
def test_stream__calls_without_numbers__are_told_apart_by_id(index):
    events = run(
        chunk(tool_calls=[call(index, "1", "f", '{"a":')]),
        chunk(tool_calls=[call(index, "1", "f", "1}")]),
        chunk(tool_calls=[call(index, "2", "g", "{}")]),
    )
    output = events[-1]["response"]["output"]
    assert [item["arguments"] for item in output] == ['{"a":1}', "{}"]


def test_stream__calls_without_number_and_id__are_told_apart_by_name():
    calls = [call(None, None, "f", "{}"), call(None, None, "g", "{}")]
    output = run(chunk(tool_calls=calls))[-1]["response"]["output"]
    assert [item["name"] for item in output] == ["f", "g"]
    assert output[0]["call_id"] != output[1]["call_id"]


def test_stream__a_new_id_with_each_delta__is_still_one_call():
    events = run(
        chunk(tool_calls=[call(0, "1", "f", '{"a":')]),
        chunk(tool_calls=[call(0, "other", None, "1}")]),
        chunk(tool_calls=[call(0, None, None, " ")]),
    )
    (item,) = events[-1]["response"]["output"]
    assert (item["call_id"], item["arguments"]) == ("1", '{"a":1} ')


def test_stream__a_name_that_comes_late__holds_the_call_back():
    stream = new_stream()
    stream.feed(chunk(role="assistant"))
    assert stream.feed(chunk(tool_calls=[call(0, "1", None, '{"a"')])) == []
    events = parsed(stream.feed(chunk(tool_calls=[call(0, None, "f", ":1}")])))
    assert events[0]["item"]["name"] == "f"
    assert joined(events, CALL_EVENTS[1], 0) == '{"a":1}'


def test_stream__a_name_that_does_not_come__holds_back_only_so_much(monkeypatch):
    monkeypatch.setattr(stream_output, "MOST_HELD", 8)
    stream = new_stream()
    assert not stream.feed(chunk(tool_calls=[call(0, "1", None, '{"a":"1"')]))[2:]
    assert stream.feed(chunk(tool_calls=[call(0, None, None, "}")]))


def test_stream__a_call_that_never_gets_a_name__is_not_lost():
    events = run(chunk(tool_calls=[call(0, "1", None, "{}")]))
    (item,) = events[-1]["response"]["output"]
    assert (item["name"], item["arguments"]) == ("", "{}")


@pytest.mark.parametrize("late", ["\n", '{"b":2}'])
def test_stream__arguments_after_their_end__are_left_out(late):
    stream = new_stream()
    first, second = call(0, "1", "f", '{"a":1}'), call(1, "2", "g", "{}")
    stream.feed(chunk(tool_calls=[first, second]))
    assert stream.feed(chunk(tool_calls=[call(0, arguments=late)])) == []
    output = parsed(stream.finish())[-1]["response"]["output"]
    assert [item["arguments"] for item in output] == ['{"a":1}', "{}"]


def test_stream__arguments_that_begin_empty__grow_on():
    events = run(
        chunk(tool_calls=[call(0, "1", "f", "{}"), call(1, "2", "g", "{}")]),
        chunk(tool_calls=[call(0, arguments='{"a":1}')]),
    )
    output = events[-1]["response"]["output"]
    assert [item["arguments"] for item in output] == ['{}{"a":1}', "{}"]


@pytest.mark.parametrize("index", [1, "0", None])
def test_stream__choice_of_another_number__is_the_answer(index):
    parts = [{"choices": [{"index": index, "delta": {"content": c}}]} for c in "ab"]
    assert joined(run(*parts), TEXT_EVENTS[2], 0) == "ab"


@pytest.mark.parametrize(
    "name", ["reasoning", "reasoning_content", "thinking", "reasoning_details"]
)
def test_stream__reasoning__is_an_item_before_the_message(name):
    events = run(
        chunk(**{name: "I th"}), chunk(**{name: "ink."}), chunk(content="Yes.")
    )
    reasoning = [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
    ]
    assert kinds(events)[2:-1] == [*reasoning, *TEXT_EVENTS]
    output = events[-1]["response"]["output"]
    assert output[0]["summary"] == [{"type": "summary_text", "text": "I think."}]


def test_stream__a_refusal__is_a_second_part_of_the_message():
    events = run(chunk(content="Well, "), chunk(refusal="I ca"), chunk(refusal="n't."))
    assert joined(events, "response.refusal.delta", 0) == "I can't."
    (done,) = [event for event in events if event["type"] == "response.refusal.done"]
    assert (done["refusal"], done["content_index"]) == ("I can't.", 1)
    (message,) = events[-1]["response"]["output"]
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]


def test_stream__logprobs__come_with_delta_and_end():
    token = {"token": "x", "logprob": -0.5, "bytes": None, "top_logprobs": []}
    part = chunk(content="x")
    part["choices"][0]["logprobs"] = {"content": [token]}
    found = [event for event in run(part) if event.get("logprobs")]
    assert [event["type"] for event in found] == [TEXT_EVENTS[2], TEXT_EVENTS[3]]
    assert found[0]["logprobs"][0]["token"] == "x"


@pytest.mark.parametrize(
    ("finish_reason", "why"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
def test_stream__cut_short__ends_incomplete(finish_reason, why):
    events = run(chunk(content="Once"), chunk(finish_reason))
    assert events[-1]["type"] == "response.incomplete"
    response = events[-1]["response"]
    assert response["incomplete_details"] == {"reason": why}
    assert response["output"][0]["status"] == "incomplete"


def test_stream__other_choices__are_left_out():
    other = {"choices": [{"index": 1, "delta": {"content": "no"}}]}
    events = run(chunk(content="yes"), other)
    assert joined(events, TEXT_EVENTS[2], 0) == "yes"


def test_stream__nothing_at_all__is_an_empty_response():
    assert kinds(run()) == [
        "response.created",
        "response.in_progress",
        "response.completed",
    ]


def test_fail__after_content__tells_the_error_and_keeps_the_partial_output():
    stream = new_stream()
    stream.feed(chunk(content="Once"))
    stream.feed(chunk(tool_calls=[call(0, "1", "f", '{"a')]))
    error = {"message": "gone", "type": "upstream_error", "code": "broken", "param": 1}
    last = stream.fail({**error, "param": None, "request_id": "r1"})
    told, failed = parsed(last)
    assert (told["type"], told["code"], told["message"]) == ("error", "broken", "gone")
    assert told["error"]["request_id"] == "r1"
    assert failed["type"] == "response.failed"
    response = failed["response"]
    assert response["status"] == "failed"
    assert response["error"] == {"code": "server_error", "message": "gone"}
    assert [item["status"] for item in response["output"]] == [
        "completed",
        "incomplete",
    ]
    assert response["output"][1]["arguments"] == '{"a'


def test_fail__before_anything__still_begins_with_created():
    events = parsed(new_stream().fail({"code": "rate_limit_exceeded", "message": "m"}))
    assert kinds(events) == [
        "response.created",
        "response.in_progress",
        "error",
        "response.failed",
    ]
    assert events[-1]["response"]["error"]["code"] == "rate_limit_exceeded"
    assert events[-1]["response"]["model"] == "asked"


def test_stream__after_its_end__says_nothing_more():
    for end in (lambda s: s.finish(), lambda s: s.fail({"message": "m"})):
        stream = new_stream()
        assert end(stream)
        assert stream.feed(chunk(content="late")) == []
        assert stream.finish() == stream.fail({"message": "m"}) == []


def test_stream__an_error__is_the_providers():
    stream = new_stream()
    with pytest.raises(UpstreamError) as caught:
        stream.feed({"error": {"message": "boom"}})
    assert parsed(stream.fail(caught.value.body()["error"]))[-1]["type"].endswith("d")
