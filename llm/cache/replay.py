"""Turns a whole chat answer into the stream that would have brought it."""

from collections.abc import Iterator
from typing import Any

import orjson

# Characters an event, about as many as a provider sends.
PIECE = 48
_TEXTS = ("reasoning_content", "reasoning", "thinking", "content", "refusal")
# What each chunk repeats; the rest comes once.
_HEAD = ("id", "created", "model", "system_fingerprint", "service_tier")
_LEFT_OUT = frozenset({*_HEAD, "object", "choices", "usage"})
_OWN = frozenset({"index", "message", "logprobs", "finish_reason"})


def is_streamable(whole: dict[str, Any]) -> bool:
    """Whether `events` can express the whole answer."""
    choices = whole.get("choices")
    if not isinstance(choices, list):
        return False
    numbers = set()
    for choice in choices:
        number = choice.get("index", 0)
        if type(number) is not int or number in numbers or "delta" in choice:
            return False
        if not _has_calls(choice.get("message")):
            return False
        numbers.add(number)
    return True


def _has_calls(message: Any) -> bool:
    if not isinstance(message, dict):
        return False
    calls = message.get("tool_calls")
    if not calls:
        return True
    return isinstance(calls, list) and all(isinstance(one, dict) for one in calls)


def events(
    body: bytes, *, include_usage: bool, usage: dict[str, int] | None = None
) -> list[bytes]:
    """The SSE events of a stored answer, without the final [DONE].

    `usage` is sent if the answer has none of its own.
    """
    whole = orjson.loads(body)
    head = {name: whole[name] for name in _HEAD if name in whole}
    head["object"] = "chat.completion.chunk"
    if include_usage:
        head["usage"] = None
    chunks = [
        {**head, "choices": [part]}
        for choice in whole["choices"]
        for part in _parts(choice)
    ]
    more = {name: whole[name] for name in whole if name not in _LEFT_OUT}
    if more and chunks:
        chunks[0] |= more
    if include_usage:
        counts = whole.get("usage") or usage
        chunks.append({**head, "choices": [], "usage": counts})
    return [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks]


def _parts(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The pieces of one choice: its role, its texts, its calls, the rest, its end."""
    message, index = choice["message"], choice.get("index", 0)

    def part(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {
            "index": index,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish,
        }

    yield part(_opening(message))
    for delta in _deltas(message):
        yield part(delta)
    if choice.get("logprobs"):
        yield {**part({}), "logprobs": choice["logprobs"]}
    more = {name: choice[name] for name in choice if name not in _OWN}
    yield {**part({}, choice.get("finish_reason")), **more}


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Texts in pieces, then one call at a time, then what cannot be cut."""
    for name in _TEXTS:
        text = message.get(name)
        if isinstance(text, str):
            for start in range(0, len(text), PIECE):
                yield {name: text[start : start + PIECE]}
    for number, call in enumerate(message.get("tool_calls") or ()):
        yield {"tool_calls": [{**call, "index": number}]}
    for name, value in message.items():
        cut = name in _TEXTS and isinstance(value, str)
        if value and not cut and name not in ("role", "tool_calls"):
            yield {name: value}


def _opening(message: dict[str, Any]) -> dict[str, Any]:
    """The first delta: the role, and all that is empty."""
    empty = {name: value for name, value in message.items() if not value}
    content = "" if isinstance(message.get("content"), str) else None
    role = message.get("role") or "assistant"
    return {"role": role, "content": content, **empty} | {"role": role}
