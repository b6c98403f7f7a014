"""From a whole chat answer to the stream that would have brought it."""

from collections.abc import Iterator
from typing import Any

import orjson

# About what a provider sends an event; a client shows it as fast as it likes.
PIECE = 48
# What comes in one piece, where there is any.
_WHOLES = ("function_call", "annotations", "audio")
_TEXTS = ("reasoning_content", "reasoning", "content", "refusal")


def events(body: bytes, *, include_usage: bool) -> list[bytes]:
    """The SSE events of a stored answer, without the final [DONE]."""
    whole = orjson.loads(body)
    head = {
        name: whole[name]
        for name in ("id", "created", "model", "system_fingerprint")
        if name in whole
    }
    head["object"] = "chat.completion.chunk"
    if include_usage:
        head["usage"] = None
    chunks = [
        {**head, "choices": [part]}
        for choice in whole["choices"]
        for part in _parts(choice)
    ]
    if include_usage:
        chunks.append({**head, "choices": [], "usage": whole.get("usage")})
    return [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks]


def _parts(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The pieces of one choice: its role, its texts, its calls, its end."""
    message, index = choice["message"], choice.get("index", 0)

    def part(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {
            "index": index,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish,
        }

    yield part({"role": "assistant", "content": ""})
    for name in _TEXTS:
        text = message.get(name) or ""
        for start in range(0, len(text), PIECE):
            yield part({name: text[start : start + PIECE]})
    for number, call in enumerate(message.get("tool_calls") or ()):
        yield part({"tool_calls": [{"index": number, **call}]})
    for name in _WHOLES:
        if message.get(name):
            yield part({name: message[name]})
    if choice.get("logprobs"):
        yield {**part({}), "logprobs": choice["logprobs"]}
    yield part({}, choice.get("finish_reason"))
