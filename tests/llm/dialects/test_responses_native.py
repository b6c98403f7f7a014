"""Responses of providers that speak them: what is sent, and how failures are told."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from llm import dialects
from llm.dialects.base import Dialect, Sort, StreamReader
from llm.dialects.responses import Responses
from llm.providers.base import Verdict
from llm.upstream.http import Failed
from tests.llm.dialects.test_dialects_readers import candidate, held, read
from tests.open_responses import check_stream

Json = dict[str, Any]
ENCRYPTED = "reasoning.encrypted_content"
ERROR = {"code": "stream_interrupted", "message": "It broke off.", "param": None,
         "type": "upstream_error", "request_id": "r1"}  # fmt: skip
BARE = {"type": "reasoning", "id": "rs_1", "summary": []}
SEALED = {**BARE, "encrypted_content": "gAAA"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f",
        "arguments": "{}"}  # fmt: skip
SAID = {"type": "message", "id": "msg_1", "role": "assistant", "content": "Hm."}
SHELL = {"type": "local_shell_call_output", "id": "call_1", "output": "x"}


def reader() -> StreamReader:
    return Responses().reader(held(stream=True))


def delta(number: Any = 1, text: Any = "abc") -> Json:
    kind = "response.output_text.delta"
    return {"type": kind, "item_id": "m", "output_index": 0, "content_index": 0,
            "delta": text, "sequence_number": number}  # fmt: skip


def created() -> Json:
    """The first event, with a response object as the translation makes it."""
    other = dialects.choose("responses", candidate()).reader(
        held(stream=True, input="x")
    )
    read(other, {"choices": [{"delta": {"content": "x"}}]})
    events = check_stream(other.ending())
    response = {**events[-1]["response"], "status": "in_progress", "completed_at": None}
    return {"type": "response.created", "sequence_number": 0, "response": response}


def body(dialect: Dialect | None = None, **fields: Any) -> Json:
    return (dialect or Responses()).body(held(**fields), candidate("openai"))


# Streams


def test_stream__ended_well__is_followed_by_done() -> None:
    one = reader()
    end = {"type": "response.completed", "response": {}, "sequence_number": 5}
    assert read(one, end).sort is Sort.DONE
    assert one.ending().endswith(b'"sequence_number":5}\n\ndata: [DONE]\n\n')


def test_stream__provider_says_failed__is_passed_on_as_it_is() -> None:
    one = reader()
    said: Json = {
        **created(),
        "type": "response.failed",
        "sequence_number": 7,
        "ids": 2**70,
    }
    said["response"]["error"] = {"code": "image_parse_error", "message": "Blurred."}
    said["response"]["usage"] = {"input_tokens": 3}
    raw = b'{"ids":%d,' % 2**70 + orjson.dumps({**said, "ids": None})[1:]
    read(one, delta())
    piece = read(one, raw)
    assert piece.sort is Sort.ERROR
    assert piece.error == {"code": "image_parse_error", "message": "Blurred."}
    assert one.error_event(ERROR) == b"data: " + raw + b"\n\n"
    assert one.usage == {"input_tokens": 3}


def test_stream__failed_with_a_number_that_goes_back__gets_another() -> None:
    one = reader()
    read(one, delta(8))
    said = {**created(), "type": "response.failed", "ids": 0}
    raw = orjson.dumps(said).replace(b'"ids":0', b'"ids":%d' % 2**70)
    read(one, raw)
    told = one.error_event(ERROR)
    assert b'"sequence_number":9' in told
    assert b"%d" % 2**70 in told


def test_stream__provider_says_error__keeps_its_words_and_is_followed_by_failed() -> (
    None
):
    one = reader()
    read(one, created())
    read(one, delta(6))
    said = {"code": "server_error", "message": "Overheated.", "param": None}
    assert read(one, {"type": "error", "sequence_number": 0, **said}).error
    error, failed = check_stream(one.error_event(ERROR), done=False)
    assert (error["sequence_number"], failed["sequence_number"]) == (7, 8)
    assert (error["code"], error["message"]) == ("server_error", "Overheated.")
    assert error["error"]["request_id"] == "r1"
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {
        "code": "server_error",
        "message": "Overheated.",
    }


def test_stream__broken_off__ends_in_error_and_failed() -> None:
    one = reader()
    read(one, created())
    read(one, delta(6))
    error, failed = check_stream(one.error_event(ERROR), done=False)
    assert error["error"] == ERROR
    assert failed["response"]["error"]["code"] == "server_error"


def test_stream__broken_off_without_a_response__ends_in_error() -> None:
    one = reader()
    read(one, delta())
    (error,) = check_stream(one.error_event(ERROR), done=False)
    assert (error["sequence_number"], error["code"]) == (2, "stream_interrupted")


@pytest.mark.parametrize("numbers", [[0, 1, 2], [3, 1, 2], [5, 5, 6], [0, -1, 7]])
def test_events__whatever_their_numbers__never_go_back(numbers: list[int]) -> None:
    one = reader()
    sent = b"".join(read(one, delta(number)).out for number in numbers)
    found = [orjson.loads(e.partition(b"data: ")[2]) for e in sent.split(b"\n\n") if e]
    told = [event["sequence_number"] for event in found]
    assert told == sorted(set(told))
    assert all(event["delta"] == "abc" for event in found)
    assert read(one, delta(None)).sort is Sort.CONTENT


# Reasoning


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (None, [ENCRYPTED]),
        ([], [ENCRYPTED]),
        (["x"], ["x", ENCRYPTED]),
        ([ENCRYPTED], [ENCRYPTED]),
        ("odd", "odd"),
    ],
)
def test_include__whatever_is_asked__has_encrypted_reasoning_too(
    asked: Any, sent: Any
) -> None:
    assert body(input="x", include=asked)["include"] == sent
    assert body(input="x")["include"] == [ENCRYPTED]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("hi", "hi"),
        ([SEALED, CALL], [SEALED, CALL]),
        ([BARE], []),
        (
            [BARE, CALL, {**BARE, "encrypted_content": None}, SAID],
            [{**CALL, "id": None}, {**SAID, "id": None}],
        ),
        ([BARE, SEALED, SHELL, "odd"], [SEALED, SHELL, "odd"]),
    ],
)
def test_input__reasoning_that_has_to_be_looked_up__is_left_out(
    given: Any, sent: Any
) -> None:
    if isinstance(sent, list):
        sent = [_without_null_id(one) for one in sent]
    assert body(input=given)["input"] == sent


def _without_null_id(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    return {name: value for name, value in item.items() if value or name != "id"}


def test_body__allowed_tools_without_a_mode__get_the_specified_one() -> None:
    named = {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]}
    assert body(input="x", tool_choice=named)["tool_choice"] == {
        **named,
        "mode": "auto",
    }
    for choice in ("required", None, {**named, "mode": "required"}):
        assert body(input="x", tool_choice=choice)["tool_choice"] == choice


def refused(verdict: Verdict = Verdict.CLIENT, **error: Any) -> Failed:
    return Failed(verdict, "The provider answered 400.", 400, error or None)


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Encrypted content is not supported with this model."},
        {"message": "No.", "param": "include"},
        {"message": "No.", "param": "include[0]"},
    ],
)
def test_include_refused__model_that_does_not_reason__is_not_asked_again(
    error: Json,
) -> None:
    dialect = Responses()
    asked, model = held(input="x"), candidate("openai")
    assert dialect.can_omit(asked, model, refused(**error))
    assert "include" not in dialect.body(asked, model)
    assert body(dialect, input="x", include=["y"])["include"] == ["y"]
    # Of two that were sent at once the second is sent anew as well.
    assert dialect.can_omit(asked, model, refused(**error))


@pytest.mark.parametrize(
    ("include", "failure"),
    [
        (None, refused(message="Too long.")),
        (None, refused(message="The encrypted content gA could not be verified.")),
        (None, refused()),
        (None, refused(Verdict.FAILURE, param="include")),
        ([ENCRYPTED], refused(param="include")),
        ("odd", refused(param="include")),
    ],
)
def test_refused__for_something_else__is_the_callers(
    include: Any, failure: Failed
) -> None:
    dialect, model = Responses(), candidate("openai")
    assert not dialect.can_omit(held(input="x", include=include), model, failure)
    assert ENCRYPTED in body(dialect, input="x")["include"]
    assert not dialects.choose("chat", model).can_omit(held(), model, failure)


def test_body__reasoning_asked_and_dropped__leaves_the_plan_as_it_is() -> None:
    asked = held(input=[BARE, CALL], include=["x"])
    Responses().body(asked, candidate("openai"))
    assert asked.plan.body["input"] == [BARE, CALL]
    assert asked.plan.body["include"] == ["x"]
    assert isinstance(asked, SimpleNamespace)
