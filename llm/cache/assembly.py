"""From the chunks of a chat stream to the whole answer that they spell."""

from typing import Any

import orjson

_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")
# More calls at once than this are nonsense, and must not fill memory.
_MOST_CALLS = 128
NATURAL = frozenset({"stop", "tool_calls", "function_call"})


class Assembly:
    """Takes parsed chunks in order; `whole` is the answer once the stream is done."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._usage: Any = None

    def add(self, chunk: dict[str, Any]) -> None:
        """One more chunk.

        Raises ValueError, TypeError or AttributeError for one that cannot be joined.
        """
        if not self._head:
            self._head = {
                name: chunk[name]
                for name in ("id", "created", "model", "system_fingerprint")
                if chunk.get(name) is not None
            }
        self._usage = chunk.get("usage") or self._usage
        for part in chunk.get("choices") or ():
            self._add_choice(part)

    def _add_choice(self, part: dict[str, Any]) -> None:
        index = part.get("index", 0)
        choice = self._choices.setdefault(
            index,
            {
                "index": index,
                "message": {"role": "assistant", "content": None},
                "logprobs": None,
                "finish_reason": None,
            },
        )
        choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
        if part.get("logprobs"):
            _join_logprobs(choice, part["logprobs"])
        delta = part.get("delta") or {}
        if delta.get("audio"):
            raise ValueError("Sound is not joined.")
        message = choice["message"]
        for name in _TEXTS:
            if delta.get(name) is not None:
                message[name] = (message.get(name) or "") + delta[name]
        for call in delta.get("tool_calls") or ():
            _join_call(message, call)
        if delta.get("function_call"):
            named = message.setdefault("function_call", {"name": "", "arguments": ""})
            _join_function(named, delta["function_call"])

    @property
    def natural(self) -> bool:
        """Did every choice end of its own accord?"""
        return bool(self._choices) and all(
            choice["finish_reason"] in NATURAL for choice in self._choices.values()
        )

    def whole(self, usage: dict[str, int]) -> bytes:
        """The answer as if it had not been streamed; `usage` where none was sent."""
        return orjson.dumps(
            {
                **self._head,
                "object": "chat.completion",
                "choices": [self._choices[index] for index in sorted(self._choices)],
                "usage": self._usage or usage,
            }
        )


def _join_logprobs(choice: dict[str, Any], more: dict[str, Any]) -> None:
    joined = choice["logprobs"] or {}
    for name, value in more.items():
        if isinstance(value, list):
            joined[name] = [*(joined.get(name) or []), *value]
    choice["logprobs"] = joined


def _join_call(message: dict[str, Any], call: dict[str, Any]) -> None:
    """Merge one piece of a tool call into the message's list."""
    calls: list[dict[str, Any]] = message.setdefault("tool_calls", [])
    index = call.get("index", len(calls))
    if not 0 <= index < _MOST_CALLS:
        raise ValueError("A tool call's index is out of bounds.")
    while len(calls) <= index:
        calls.append({"type": "function", "function": {"name": "", "arguments": ""}})
    found = calls[index]
    if call.get("id"):
        found["id"] = call["id"]
    _join_function(found["function"], call.get("function") or {})


def _join_function(joined: dict[str, Any], piece: dict[str, Any]) -> None:
    for name in ("name", "arguments"):
        joined[name] += piece.get(name) or ""


def natural(body: dict[str, Any]) -> bool:
    """Did every choice of a whole answer end of its own accord?"""
    choices = body.get("choices")
    return bool(choices) and all(
        choice.get("finish_reason") in NATURAL for choice in choices or ()
    )
