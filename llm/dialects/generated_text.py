"""The texts that a model generated into a chat message, and their sizes."""

from typing import Any

import orjson

from llm.translate.reasoning import is_reasoning, reasoning_text

# Content besides reasoning, which has many names.
CONTENT = frozenset(
    {"content", "tool_calls", "refusal", "function_call", "audio", "images"}
)
_NOTHING: dict[str, Any] = {}


def text_size(value: Any) -> int:
    """UTF-8 bytes of a generated text; of anything else, as JSON."""
    if isinstance(value, str):
        if value.isascii():
            return len(value)
        return len(value.encode("utf-8", "replace"))
    return len(orjson.dumps(value)) if value else 0


def generated_texts(message: dict[str, Any]) -> tuple[str, ...]:
    """The texts that a model wrote into a message."""
    texts: list[str] = []
    reasoning = False
    for name, value in message.items():
        if not value or name == "role":
            continue
        if name in CONTENT:
            texts += generated_in(name, value)
        elif is_reasoning(name):
            reasoning = True
    if reasoning and (thoughts := reasoning_text(message)):
        texts.append(thoughts)
    return tuple(texts)


def generated_in(name: str, value: Any) -> tuple[str, ...]:
    """The texts in one member of a message."""
    if isinstance(value, str):
        return (value,)
    if name == "tool_calls":
        return tuple(text for call in value for text in _called(call))
    if name == "function_call":
        return _called({"function": value})
    if name == "audio" and isinstance(value, dict):
        # Sound has more tokens than its words, and far fewer than bytes.
        transcript = value.get("transcript")
        return (transcript,) if isinstance(transcript, str) else ()
    if name == "images":
        return ()
    return (orjson.dumps(value).decode(),)


def _called(call: Any) -> tuple[str, ...]:
    """The name and arguments of a tool call: only these are generated."""
    if not isinstance(call, dict):
        return (orjson.dumps(call).decode(),)
    made = call.get("function") or call.get("custom") or _NOTHING
    found = (made.get(name) for name in ("name", "arguments", "input"))
    return tuple(text for text in found if isinstance(text, str))
