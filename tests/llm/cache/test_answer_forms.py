"""A stored or joined answer is the same answer, or it is not stored."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from llm.cache import replay
from llm.cache.assembly import Assembly
from tests.llm.answer_streams import facts, streams, without_numbers


def joined(chunks: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The whole answer; None where it would not be stored."""
    assembly = Assembly()
    for chunk in chunks:
        assembly.add(orjson.loads(orjson.dumps(chunk)))
    if assembly.lossy or not any(one.get("choices") for one in chunks):
        return None
    whole: dict[str, Any] = orjson.loads(assembly.whole({"total_tokens": 1}) or b"")
    return whole


def replayed(whole: dict[str, Any]) -> list[dict[str, Any]]:
    events = replay.events(orjson.dumps(whole), include_usage=True)
    return [orjson.loads(event[len(b"data: ") :]) for event in events]


def said(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    return without_numbers(facts(part for one in chunks for part in one["choices"]))


def heads(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """What the chunks say of the whole; the last word on each counts."""
    left_out = {"choices", "usage", "object", "obfuscation"}
    return {
        name: value
        for chunk in chunks
        for name, value in chunk.items()
        if name not in left_out and value not in (None, "", [], {})
    }


@settings(derandomize=True, max_examples=100, deadline=None)
@given(streams())
def test_answer__any_stream__is_joined_and_replayed_alike_or_not_at_all(
    chunks: list[dict[str, Any]],
) -> None:
    whole = joined(chunks)
    if whole is None:
        return
    again = replayed(whole)
    assert said([whole]) == said(chunks)
    assert said(again) == said(chunks)
    assert heads([whole]) == heads(again) == heads(chunks)
    assert joined(again) == whole
    assert replay.is_streamable(whole)


def chunk(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    part = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c", "created": 1, "model": "m", "choices": [part]}


def call(index: int | None, given: str | None, name: str, text: str) -> dict[str, Any]:
    piece = {"id": given, "type": "function" if name else None,
             "function": {"name": name or None, "arguments": text}}  # fmt: skip
    return chunk(tool_calls=[piece if index is None else {**piece, "index": index}])


END = chunk(finish="tool_calls")
CUSTOM = {"index": 0, "id": "c1", "type": "custom"}
BLOCK = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
JOINED: dict[str, list[dict[str, Any]]] = {
    "openai": [call(0, "a", "read", ""), call(0, None, "", "{"), call(0, None, "", "}")],
    "two calls": [call(0, "a", "read", "{}"), call(1, "b", "read", "{}")],
    "mixed": [call(0, "a", "f", ""), call(1, "b", "g", ""), call(0, None, "", "{}")],
    "ollama": [call(0, "a", "read", "{}"), call(0, "b", "read", "{}")],
    "no numbers": [call(None, "a", "read", "{}"), call(None, "b", "read", "{}")],
    "custom": [
        chunk(tool_calls=[{**CUSTOM, "custom": {"name": "sh", "input": "l"}}]),
        chunk(tool_calls=[{"index": 0, "custom": {"input": "s"}}]),
    ],
    "annotations": [chunk(content="x"), chunk(annotations=[{"type": "url_citation"}])],
    "thinking blocks": [chunk(thinking_blocks=[BLOCK]), chunk(content="x")],
    "role repeated": [chunk(role="assistant", content=c) for c in "abc"],
    "empty calls": [{**chunk(content="x", tool_calls=[])}] * 2,
    "groq": [{**chunk(content="x"), "x_groq": {"id": "r"}},
             {**END, "x_groq": {"id": "r", "usage": {"a": 1}}}],
    "azure": [{"choices": [], "model": "", "id": "", "prompt_filter_results": [{}]},
              chunk(content="x")],
    "padding": [{**chunk(content="x"), "obfuscation": pad} for pad in ("a", "bc")],
    "two choices": [chunk(0, content="a"), chunk(1, content="b"), chunk(1, "stop")],
    "clock": [{**chunk(content="x"), "created": second} for second in (1, 2)],
}  # fmt: skip
NOT_JOINED: dict[str, list[dict[str, Any]]] = {
    "parts of calls under one number": [call(0, "a", "f", "{"), call(0, "b", "f", "}")],
    "an id for each piece": [call(0, "a", "f", "{"), call(0, "b", "", "}")],
    "name twice": [call(0, "a", "read", "{}"), call(0, "a", "read", "{}")],
    "no number, half a call": [call(None, "a", "f", "{"), call(None, "b", "f", "{}")],
    "custom under one number": [
        chunk(
            tool_calls=[{**CUSTOM, "id": given, "custom": {"name": "s", "input": "l"}}]
        )
        for given in "ab"
    ],
    "details in pieces": [chunk(reasoning_details=[{"text": "a", "index": 0}])] * 2,
    "annotations twice": [chunk(annotations=[{"a": 1}]), chunk(annotations=[{"b": 1}])],
    "unknown text twice": [chunk(whisper="a"), chunk(whisper="a")],
    "text and blocks": [chunk(reasoning="a"), chunk(reasoning=[{"text": "b"}])],
    "blocks and text": [chunk(content=[{"text": "b"}]), chunk(content="b")],
    "sound": [chunk(audio={"data": "QUJD"})],
    "state changes": [{**chunk(content="x"), "service_tier": t} for t in ("a", "b")],
    "ends twice": [chunk(finish="stop"), chunk(finish="length")],
    "choices alike": [{"choices": [{"delta": {"content": "a"}}] * 2}],
}


@pytest.mark.parametrize("name", JOINED)
def test_answer__form_that_providers_use__is_joined_without_loss(name: str) -> None:
    chunks = [*JOINED[name], END]
    whole = joined(chunks)
    assert whole is not None
    assert said([whole]) == said(chunks)
    assert said(replayed(whole)) == said(chunks)


@pytest.mark.parametrize("name", NOT_JOINED)
def test_answer__that_would_lose_something__is_not_joined(name: str) -> None:
    assert joined([*NOT_JOINED[name], END]) is None


WHOLES: list[dict[str, Any]] = [
    {"content": None, "refusal": None, "annotations": [],
     "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "s", "input": "l"}},
                    {"id": "b", "type": "function", "extra_content": {"x": 1},
                     "function": {"name": "f", "arguments": "{}"}}]},
    {"content": "x" * 200, "annotations": [{"type": "url_citation"}], "name": "n"},
    {"content": [{"type": "text", "text": "x"}], "thinking_blocks": [BLOCK, BLOCK]},
    {"content": "x", "reasoning": {"summary": "s"}, "reasoning_details": [BLOCK]},
    {"content": "", "audio": {"id": "a", "data": "QUJD"}, "unknown": 0},
    {"content": "x", "function_call": {"name": "f", "arguments": "{}"}},
]  # fmt: skip


@pytest.mark.parametrize("message", WHOLES)
def test_answer__whole__is_streamed_without_loss(message: dict[str, Any]) -> None:
    choice = {
        "index": 0,
        "message": {"role": "assistant", **message},
        "logprobs": {"content": [{"token": "x"}], "refusal": None},
        "finish_reason": "stop",
        "stop_reason": "eos",
    }
    whole = {"id": "c", "choices": [choice], "usage": {"total_tokens": 1}, "more": [1]}
    assert replay.is_streamable(whole)
    again = replayed(whole)
    assert said(again) == said([whole])
    assert heads(again) == heads([whole])
    assert again[-1]["usage"] == whole["usage"]


@pytest.mark.parametrize(
    "choices",
    [
        None,
        [{"message": {"content": "a"}}, {"message": {"content": "b"}}],
        [{"index": "0", "message": {}}],
        [{"index": 0, "message": {"tool_calls": {"id": "a"}}}],
        [{"index": 0, "message": {"tool_calls": ["a"]}}],
        [{"index": 0, "message": {}, "delta": {"content": "a"}}],
        [{"index": 0, "message": "a"}],
    ],
)
def test_answer__whole_of_a_form_that_no_stream_has__is_not_streamable(
    choices: Any,
) -> None:
    assert not replay.is_streamable({"choices": choices})
