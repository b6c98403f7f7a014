"""What is sent to a provider, and how its answers are read."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from llm import dialects
from llm.dialects.base import Malformed, Sort, StreamReader
from llm.providers.error_body import error_within
from llm.providers.registry import KINDS
from llm.types import NOTHING


def candidate(kind: str = "compatible") -> Any:
    """A route to a provider of `kind`."""
    return SimpleNamespace(
        provider=SimpleNamespace(key=kind, kind=KINDS[kind]), upstream_model="theirs"
    )


def held(
    *, stream: bool = False, include_usage: bool = False, choices: int = 1, **body: Any
) -> Any:
    """An admitted request, as far as a dialect looks at it."""
    shape = SimpleNamespace(stream=stream, include_usage=include_usage, choices=choices)
    sent = {"model": "ours", **body}
    plan = SimpleNamespace(shape=shape, max_output=77, body=sent, chosen=NOTHING)
    call = SimpleNamespace(id=SimpleNamespace(hex="ab"))
    return SimpleNamespace(plan=plan, call=call)


def read(reader: StreamReader, payload: Any) -> Any:
    raw = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return reader.read(b"data: " + raw + b"\n\n", raw)


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"delta": fields}]}


def chat_reader(**fields: Any) -> StreamReader:
    return dialects.choose("chat", candidate()).reader(held(stream=True, **fields))


@pytest.mark.parametrize(
    ("endpoint", "kind", "path"),
    [
        ("chat", "openai", "/chat/completions"),
        ("embeddings", "compatible", "/embeddings"),
        ("responses", "openai", "/responses"),
        ("responses", "together", "/chat/completions"),
    ],
)
def test_choose__endpoint_and_kind__give_the_path(
    endpoint: str, kind: str, path: str
) -> None:
    assert dialects.choose(endpoint, candidate(kind)).path == path


@pytest.mark.parametrize(
    ("kind", "sent", "left_out"),
    [
        ("compatible", "max_tokens", "max_completion_tokens"),
        ("openai", "max_completion_tokens", "max_tokens"),
    ],
)
@pytest.mark.parametrize("given", ["max_tokens", "max_completion_tokens"])
def test_chat_body__cap__goes_by_the_name_that_the_provider_reads(
    kind: str, sent: str, left_out: str, given: str
) -> None:
    dialect = dialects.choose("chat", candidate(kind))
    body = dialect.body(held(**{given: 5, "odd": [1]}), candidate(kind))
    assert body == {"model": "theirs", sent: 77, "odd": [1]}
    assert left_out not in body


def test_chat_body__streamed__always_asks_for_usage() -> None:
    dialect = dialects.choose("chat", candidate())
    asked = held(stream=True, stream_options={"include_obfuscation": False})
    body = dialect.body(asked, candidate())
    assert body["stream_options"] == {
        "include_obfuscation": False,
        "include_usage": True,
    }
    assert asked.plan.body["stream_options"] == {"include_obfuscation": False}


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"content": "né"}, 3),
        ({"refusal": "no"}, 2),
        ({"reasoning_content": "hm"}, 2),
        ({"tool_calls": [{"index": 0, "id": "call_1"}]}, 0),
        ({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}, 3),
        ({"tool_calls": [{"custom": {"name": "f", "input": "abc"}}]}, 4),
        ({"function_call": {"name": "f", "arguments": None}}, 1),
        ({"audio": {"data": "QUJD", "transcript": "hi"}}, 2),
        ({"audio": {"data": "QUJD"}}, 0),
        ({"content": [{"text": "x"}]}, len('[{"text":"x"}]')),
        ({"tool_calls": [5]}, 1),
    ],
)
def test_chat_stream__content_of_any_kind__is_counted(
    fields: dict[str, Any], size: int
) -> None:
    reader = chat_reader()
    assert read(reader, delta(**fields)).sort is Sort.CONTENT
    assert (reader.size, reader.pieces) == (size, 1)


def test_chat_stream__role_and_empty_text__are_held() -> None:
    reader = chat_reader()
    assert read(reader, delta(role="assistant", content="")).sort is Sort.HELD
    assert read(reader, {"choices": [{"delta": None}]}).sort is Sort.HELD
    assert (reader.size, reader.finished) == (0, False)


def test_chat_stream__finish_without_content__is_passed() -> None:
    reader = chat_reader()
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    assert read(reader, end).sort is Sort.PASS
    assert reader.finished


def test_chat_stream__last_content_with_its_finish__is_content() -> None:
    reader = chat_reader()
    end = {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}
    assert read(reader, end).sort is Sort.CONTENT
    assert reader.finished


def test_chat_stream__several_choices__is_finished_with_the_last_of_them() -> None:
    reader = chat_reader(choices=2)
    for index, finished in ((1, False), (1, False), (0, True)):
        end = {"choices": [{"index": index, "finish_reason": "stop"}]}
        read(reader, end)
        assert reader.finished is finished


@pytest.mark.parametrize(
    ("reason", "filtered"), [("stop", False), ("content_filter", True)]
)
def test_chat_stream__content_filter__is_told(reason: str, filtered: bool) -> None:
    end = {"choices": [{"delta": {"content": "x"}, "finish_reason": reason}]}
    for reader in (chat_reader(), translated()):
        read(reader, end)
        assert (reader.finished, reader.filtered) == (True, filtered)


@pytest.mark.parametrize(("asked", "sort"), [(True, Sort.PASS), (False, Sort.DROP)])
def test_chat_stream__usage_chunk__is_hidden_unless_asked_for(
    asked: bool, sort: Sort
) -> None:
    reader = chat_reader(include_usage=asked)
    assert read(reader, {"choices": [], "usage": {"a": 1}}).sort is sort
    assert reader.usage == {"a": 1}


def test_chat_stream__usage_beside_the_finish__is_read_too() -> None:
    reader = chat_reader()
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"a": 1}}
    read(reader, end)
    assert reader.usage == {"a": 1}


def test_chat_stream__done_and_errors__are_told_apart() -> None:
    reader = chat_reader()
    assert read(reader, b"[DONE]").sort is Sort.DONE
    piece = read(reader, {"error": {"message": "no"}})
    assert (piece.sort, error_within(piece.error)) == (Sort.ERROR, {"message": "no"})
    assert reader.error_event({"code": "x"}) == b'data: {"error":{"code":"x"}}\n\n'
    assert reader.ending() == b"data: [DONE]\n\n"


DEEP = b"[" * 300 + b"]" * 300


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"[]",
        b'"x"',
        b'{"choices":[1]}',
        b'{"choices":5}',
        b'{"choices":true}',
        b'{"choices":{"a":1}}',
        b'{"choices":[{"delta":"x"}]}',
        b'{"choices":[{"delta":{"tool_calls":%s}}]}' % DEEP,
        b'{"choices":[{"delta":{"content":%s}}]}' % DEEP,
        b'{"choices":[{"delta":{},"finish_reason":["stop"]}]}',
        b'{"choices":[{"index":[1],"finish_reason":"stop"}]}',
    ],
)
def test_chat_stream__chunk_of_another_form__is_malformed(payload: bytes) -> None:
    with pytest.raises(Malformed):
        read(chat_reader(), payload)


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"choices": []},
        {"choices": "x"},
        {"choices": [{}]},
        {"choices": [1]},
        {"choices": [{"message": "x"}]},
        {"choices": 5},
        {"choices": [{"message": {"content": "x"}, "finish_reason": ["stop"]}]},
        {"choices": [{"message": {"content": "x"}, "finish_reason": {"a": 1}}]},
        {"choices": [{"message": {"content": "x", "tool_calls": 5}}]},
    ],
)
@pytest.mark.parametrize(
    ("endpoint", "kind"), [("chat", "openai"), ("responses", "compatible")]
)
def test_chat_whole__reply_of_another_form__is_malformed(
    reply: dict[str, Any], endpoint: str, kind: str
) -> None:
    dialect = dialects.choose(endpoint, candidate(kind))
    with pytest.raises(Malformed):
        dialect.whole(held(input="x"), reply, orjson.dumps(reply))


def test_chat_whole__several_choices__are_counted_together() -> None:
    one = {"message": {"content": "abc"}, "finish_reason": "stop"}
    two = {"message": {"content": "de", "refusal": None}}
    reply = {"choices": [one, two], "usage": {"a": 1}}
    whole = dialects.choose("chat", candidate()).whole(held(), reply, b"raw")
    assert (whole.size, whole.body) == (5, b"raw")
    assert whole.texts == ("abc", "de")
    assert whole.usage == {"a": 1}
    assert not whole.filtered


def test_chat_whole__content_filter__is_told() -> None:
    one = {"message": {"content": "abc"}, "finish_reason": "content_filter"}
    whole = dialects.choose("chat", candidate()).whole(held(), {"choices": [one]}, b"")
    assert (whole.filtered, whole.natural) == (True, False)


@pytest.mark.parametrize("reply", [{}, {"data": []}, {"data": "x"}])
def test_embeddings_whole__no_vectors__is_malformed(reply: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        dialects.choose("embeddings", candidate()).whole(held(), reply, b"")


def test_embeddings__stream__is_not_offered() -> None:
    with pytest.raises(Malformed):
        dialects.choose("embeddings", candidate()).reader(held())


def native() -> StreamReader:
    return dialects.choose("responses", candidate("openai")).reader(held(stream=True))


def test_native_stream__events__are_held_until_a_delta() -> None:
    reader = native()
    created = {"type": "response.created", "sequence_number": 0}
    assert read(reader, created).sort is Sort.HELD
    text = {"type": "response.output_text.delta", "delta": "abc", "sequence_number": 1}
    assert read(reader, text).sort is Sort.CONTENT
    assert read(reader, {"type": "response.output_text.done"}).sort is Sort.PASS
    assert (reader.size, reader.pieces) == (3, 1)
    assert b'"sequence_number":2' in reader.error_event({"code": "x", "message": "m"})


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
def test_native_stream__end__gives_usage_and_is_sent_after_settlement(
    kind: str,
) -> None:
    reader = native()
    end = {"type": kind, "response": {"usage": {"input_tokens": 1}}}
    assert read(reader, end).sort is Sort.DONE
    assert reader.usage == {"input_tokens": 1}
    assert (reader.finished, reader.filtered) == (True, False)
    assert kind.encode() in reader.ending()
    assert read(reader, b"[DONE]").sort is Sort.DROP


@pytest.mark.parametrize(
    "payload",
    [
        b'{"type":"response.completed","response":"x"}',
        b'{"type":"response.completed","response":[1]}',
        b'{"type":"response.output_text.delta","delta":%s}' % DEEP,
    ],
)
def test_native_stream__event_of_another_form__is_malformed(payload: bytes) -> None:
    with pytest.raises(Malformed):
        read(native(), payload)


def test_native__content_filter__is_told() -> None:
    cut = {"incomplete_details": {"reason": "content_filter"}, "output": []}
    reader = native()
    read(reader, {"type": "response.incomplete", "response": cut})
    assert reader.filtered
    dialect = dialects.choose("responses", candidate("openai"))
    assert dialect.whole(held(), cut, b"").filtered


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"type": "error", "message": "no"}, {"type": "error", "message": "no"}),
        ({"type": "error", "error": {"code": "x"}}, {"code": "x"}),
        ({"type": "error", "error": "no"}, {"message": "no"}),
        (
            {"type": "response.failed", "response": {"error": {"code": "y"}}},
            {"code": "y"},
        ),
        (
            {"type": "response.failed", "response": {}},
            {"type": "response.failed"},
        ),
    ],
)
def test_native_stream__error_event__is_read_in_every_form(
    event: dict[str, Any], error: dict[str, Any]
) -> None:
    piece = read(native(), event)
    assert (piece.sort, error_within(piece.error)) == (Sort.ERROR, error)


def test_native_whole__output__is_counted() -> None:
    reply = {
        "status": "completed",
        "usage": {"a": 1},
        "output": [
            {"content": [{"text": "abc"}, {"refusal": "de"}, "odd"]},
            {"arguments": "{}"},
            {"content": None},
        ],
    }
    dialect = dialects.choose("responses", candidate("openai"))
    whole = dialect.whole(held(), reply, b"raw")
    assert (whole.size, whole.usage) == (7, {"a": 1})
    assert dialect.body(held(input="x"), candidate("openai")) == {
        "model": "theirs",
        "input": "x",
        "max_output_tokens": 77,
        "include": ["reasoning.encrypted_content"],
    }


@pytest.mark.parametrize("output", [None, 5, "x", ["x"], [{"content": 5}]])
def test_native_whole__output_of_another_form__is_malformed(output: Any) -> None:
    dialect = dialects.choose("responses", candidate("openai"))
    with pytest.raises(Malformed):
        dialect.whole(held(), {"output": output}, b"")


def translated() -> StreamReader:
    asked = held(stream=True, input="x")
    return dialects.choose("responses", candidate()).reader(asked)


def test_translated_stream__chunks__become_events() -> None:
    reader = translated()
    assert read(reader, delta(role="assistant")).sort is Sort.HELD
    piece = read(reader, delta(content="abc"))
    assert piece.sort is Sort.CONTENT
    assert b"response.output_text.delta" in piece.out
    assert (reader.size, reader.pieces) == (3, 1)
    read(reader, {"choices": [{"delta": {}, "finish_reason": "stop"}]})
    assert read(reader, b"[DONE]").sort is Sort.DONE
    assert b"response.completed" in reader.ending()


def test_translated_stream__error__ends_in_a_failed_response() -> None:
    reader = translated()
    read(reader, delta(content="abc"))
    assert read(reader, {"error": {"message": "no"}}).sort is Sort.ERROR
    failed = reader.error_event(
        {"code": "stream_interrupted", "message": "It broke off."}
    )
    assert b"stream_interrupted" in failed
    assert b"response.completed" not in failed


@pytest.mark.parametrize(
    "said",
    [
        {"content": "x", "tool_calls": "x"},
        {"content": ["x"]},
        {"content": [{"type": "text", "text": "x"}, {"type": "odd"}]},
        {"content": "x", "function_call": {"name": "f", "arguments": "{}"}},
        {"content": "x", "audio": {"transcript": "x"}},
        {"content": "x", "reasoning_details": [{"odd": 1}]},
    ],
)
def test_translated__whatever_a_chat_passes_on__is_passed_on(
    said: dict[str, Any],
) -> None:
    assert read(chat_reader(), delta(**said)).sort is Sort.CONTENT
    piece = read(translated(), delta(**said))
    assert b'"delta":"x"' in piece.out
    reply = {"choices": [{"message": said, "finish_reason": "stop"}]}
    raw = orjson.dumps(reply)
    for endpoint in ("chat", "responses"):
        dialect = dialects.choose(endpoint, candidate())
        assert b'"x"' in dialect.whole(held(input="x"), reply, raw).body
