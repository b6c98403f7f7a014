"""Reasoning under any name is content: streamed, whole and translated."""

from typing import Any

import orjson
import pytest

from llm import dialects
from llm.dialects.base import Sort
from llm.translate import ResponseStream, to_response
from tests.llm.chat_chunks import chunk, parsed
from tests.llm.dialects.test_dialects_readers import (
    candidate,
    chat_reader,
    delta,
    held,
    read,
)

CASES: list[tuple[dict[str, Any], str]] = [
    ({"reasoning_content": "hm"}, "hm"),
    ({"reasoning": "hm"}, "hm"),
    ({"thinking": "hm"}, "hm"),
    ({"thoughts": ["h", "m"]}, "hm"),
    ({"reasoning_text": "hm"}, "hm"),
    ({"reasoning": "hm", "reasoning_content": "hm"}, "hm"),
    ({"reasoning": {"summary": [{"text": "hm"}]}}, "hm"),
    ({"reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, "hm"),
    ({"reasoning": "hm", "reasoning_details": [{"text": "hm", "index": 0}]}, "hm"),
    ({"thinking_blocks": [{"thinking": "hm", "signature": "abc"}]}, "hm"),
    ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "xyz"}]}, ""),
    ({"thinking_blocks": [{"type": "redacted_thinking", "data": "xyz"}]}, ""),
]


@pytest.mark.parametrize(("fields", "text"), CASES)
def test_chat_stream__reasoning_under_any_name__is_content_and_counted_once(
    fields: dict[str, Any], text: str
) -> None:
    reader = chat_reader()
    assert read(reader, delta(**fields)).sort is Sort.CONTENT
    assert (reader.size, reader.pieces) == (len(text), 1)


@pytest.mark.parametrize(("fields", "text"), CASES)
def test_chat_whole__reasoning_under_any_name__is_counted_once(
    fields: dict[str, Any], text: str
) -> None:
    message = {"role": "assistant", "content": "Yes.", **fields}
    reply = {"choices": [{"message": message, "finish_reason": "stop"}]}
    dialect = dialects.choose("chat", candidate())
    whole = dialect.whole(held(), reply, orjson.dumps(reply))
    assert "".join(whole.texts) == "Yes." + text


@pytest.mark.parametrize(("fields", "text"), CASES)
def test_translated__reasoning_under_any_name__is_a_reasoning_item(
    fields: dict[str, Any], text: str
) -> None:
    message = {"role": "assistant", "content": "Yes.", **fields}
    reply = {"choices": [{"message": message, "finish_reason": "stop"}]}
    made = {"request": {"model": "m"}, "response_id": "resp_ab", "created": 1}
    kinds = [one["type"] for one in to_response(reply, **made)["output"]]
    assert kinds == (["reasoning", "message"] if text else ["message"])
    stream = ResponseStream(**made)
    events = parsed(stream.feed(chunk(**fields)) + stream.finish())
    kind = "response.reasoning_summary_text.delta"
    deltas = [e["delta"] for e in events if e["type"] == kind]
    assert "".join(deltas) == text


@pytest.mark.parametrize(
    "fields",
    [
        {"role": "assistant"},
        {"reasoning": None, "reasoning_details": [], "thinking": ""},
        {"name": "x", "annotations": []},
    ],
)
def test_chat_stream__no_reasoning_yet__is_held(fields: dict[str, Any]) -> None:
    assert read(chat_reader(), delta(**fields)).sort is Sort.HELD
