"""From the chunks of a chat stream to the whole answer that they spell."""

from typing import Any

import orjson

_TEXTS = frozenset({"content", "refusal", "reasoning_content", "reasoning"})
_NOTHING: dict[str, Any] = {}
# More calls at once than this are nonsense, and must not fill memory.
_MOST_CALLS = 128
NATURAL = frozenset({"stop", "tool_calls", "function_call"})


class _Choice:
    """One choice as far as it has come; its texts still in the pieces they came in."""

    def __init__(self, index: int) -> None:
        self.finish: str | None = None
        self.logprobs: dict[str, Any] | None = None
        self._index = index
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        self._texts: dict[str, list[str]] = {}

    def add(self, name: str, value: Any) -> None:
        """One member of a delta. Raises as Assembly.add does."""
        if name in _TEXTS:
            if not isinstance(value, str):
                raise TypeError("A text is no text.")
            pieces = self._texts.get(name)
            if pieces is None:
                pieces = self._texts[name] = []
                self._message.setdefault(name, None)
            pieces.append(value)
        elif name == "tool_calls":
            for call in value:
                _join_call(self._message, call)
        elif name == "function_call":
            named = {"name": "", "arguments": ""}
            _join_function(self._message.setdefault(name, named), value)
        elif name == "audio":
            raise ValueError("Sound is not joined.")

    def whole(self) -> dict[str, Any]:
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        return {
            "index": self._index,
            "message": {**self._message, **texts},
            "logprobs": self.logprobs,
            "finish_reason": self.finish,
        }


class Assembly:
    """Takes parsed chunks in order; `whole` is the answer once the stream is done."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
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
        if not isinstance(index, int):
            raise TypeError("An index is no number.")
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
        if finish := part.get("finish_reason"):
            if not isinstance(finish, str):
                raise TypeError("A reason is no text.")
            choice.finish = finish
        if logprobs := part.get("logprobs"):
            choice.logprobs = _joined_logprobs(choice.logprobs, logprobs)
        for name, value in (part.get("delta") or _NOTHING).items():
            if value or (value == "" and name in _TEXTS):
                choice.add(name, value)

    @property
    def natural(self) -> bool:
        """Did every choice end of its own accord?"""
        return bool(self._choices) and all(
            choice.finish in NATURAL for choice in self._choices.values()
        )

    def whole(self, usage: dict[str, int]) -> bytes | None:
        """The answer as if it had not been streamed; `usage` where none was sent.

        None where a part of it cannot be written: it is too deep, say.
        """
        answer = {
            **self._head,
            "object": "chat.completion",
            "choices": [
                self._choices[index].whole() for index in sorted(self._choices)
            ],
            "usage": self._usage or usage,
        }
        try:
            return orjson.dumps(answer)
        except TypeError:
            return None


def _joined_logprobs(
    joined: dict[str, Any] | None, more: dict[str, Any]
) -> dict[str, Any]:
    joined = joined or {}
    for name, value in more.items():
        if isinstance(value, list):
            joined[name] = [*(joined.get(name) or []), *value]
    return joined


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
