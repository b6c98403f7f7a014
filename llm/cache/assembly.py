"""Joins the chunks of a chat stream to the whole answer.

Parts that cannot be joined without loss are not joined: the answer is then `lossy`.
"""

from typing import Any

import orjson

from llm.cache.calls import OpenCalls
from llm.cache.merge import merge, put_once
from valuecanvas.core import json_numbers

TEXTS = frozenset({"content", "refusal", "reasoning_content", "reasoning", "thinking"})
# Members of a chunk that are not the answer's: its form, and random padding.
_LEFT_OUT = frozenset({"choices", "usage", "object", "obfuscation"})
# Some providers change these from chunk to chunk: the first ones are kept.
_FIRST = frozenset({"id", "created", "model"})
NATURAL = frozenset({"stop", "tool_calls", "function_call"})
# A longer stream is not joined: its parts must not fill memory.
MOST_BYTES = 8_388_608


class _Choice:
    """One choice so far; its texts are still in pieces."""

    def __init__(self, index: int) -> None:
        self.finish: str | None = None
        self._logprobs: dict[str, Any] | None = None
        self._index = index
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        self._texts: dict[str, list[str]] = {}
        self._calls = OpenCalls()
        self._more: dict[str, Any] = {}

    def add(self, part: dict[str, Any]) -> None:
        """Add one part. Raises what Assembly.add catches."""
        for name, value in part.items():
            if value is None or name == "index":
                continue
            if name == "delta":
                self._add_delta(value)
            elif name == "finish_reason":
                self._end(value)
            elif name == "logprobs":
                self._add_logprobs(value)
            elif name == "message":
                raise ValueError("A chunk has a message.")
            else:
                merge(self._more, name, value)

    def _add_delta(self, delta: dict[str, Any]) -> None:
        for name, value in delta.items():
            if name in TEXTS and isinstance(value, str):
                self.add_text(name, value)
            elif value is not None:
                self._add_member(name, value)

    def add_text(self, name: str, text: str) -> None:
        pieces = self._texts.get(name)
        if pieces is None:
            if self._message.get(name):
                raise ValueError("A text goes on after something else.")
            pieces = self._texts[name] = []
        pieces.append(text)

    def _add_member(self, name: str, value: Any) -> None:
        if name == "tool_calls":
            for call in value:
                self._calls.add(call)
        elif name == "role":
            merge(self._message, name, value)
        elif name in self._texts or name == "audio":
            raise ValueError("A text goes on as something else, or it is sound.")
        elif name == "function_call" and value:
            self._calls.add_function(value)
        else:
            put_once(self._message, name, value)

    def _end(self, reason: Any) -> None:
        if not isinstance(reason, str) or self.finish not in (None, reason):
            raise ValueError("A choice ends twice, or for no reason that is a text.")
        self.finish = reason

    def _add_logprobs(self, more: dict[str, Any]) -> None:
        if self._logprobs is None:
            self._logprobs = {}
        for name, value in more.items():
            if name in ("content", "refusal") and isinstance(value, list):
                self._logprobs.setdefault(name, []).extend(value)
            elif value is not None:
                put_once(self._logprobs, name, value)

    def whole(self) -> dict[str, Any]:
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        return {
            "index": self._index,
            "message": {**self._message, **texts, **self._calls.members()},
            "logprobs": self._logprobs,
            "finish_reason": self.finish,
            **self._more,
        }


class Assembly:
    """Takes parsed chunks in order; `whole` is the answer once the stream is done."""

    def __init__(self) -> None:
        # Whether a part of the answer could not be joined with the rest.
        self.lossy = False
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._usage: Any = None
        self._size = 0

    def add(self, chunk: dict[str, Any], raw: bytes = b"") -> None:
        """Add a chunk that was read from `raw`."""
        self._size += len(raw)
        self._usage = chunk.get("usage") or self._usage
        if self.lossy:
            return
        try:
            self._add(chunk)
        except (AttributeError, KeyError, TypeError, ValueError):
            self._give_up()
        if self._size > MOST_BYTES or json_numbers.rounds(raw):
            self._give_up()

    def add_text(self, index: int, name: str, text: str, size: int) -> None:
        """Add a chunk of this size that differs from an earlier one only in a text."""
        self._size += size
        if not self.lossy:
            self._choices[index].add_text(name, text)
        if self._size > MOST_BYTES:
            self._give_up()

    def _give_up(self) -> None:
        self.lossy = True
        self._choices.clear()

    def _add(self, chunk: dict[str, Any]) -> None:
        head = self._head
        for name, value in chunk.items():
            if value is None or name in _LEFT_OUT or head.get(name) == value:
                continue
            if not (name in _FIRST and head.get(name)):
                merge(head, name, value)
        seen = set()
        for part in chunk.get("choices") or ():
            index = part.get("index", 0)
            if type(index) is not int or index in seen:
                raise ValueError("A choice has no number of its own.")
            seen.add(index)
            choice = self._choices.get(index)
            if choice is None:
                choice = self._choices[index] = _Choice(index)
            choice.add(part)

    @property
    def natural(self) -> bool:
        """Whether every choice ended naturally."""
        return bool(self._choices) and all(
            choice.finish in NATURAL for choice in self._choices.values()
        )

    def whole(self, usage: dict[str, int]) -> bytes | None:
        """The answer as if it had not been streamed; with `usage` if none was sent.

        A lossy answer has no choices. None if a part of it cannot be written, because
        it is too deep, for example.
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


def natural(body: dict[str, Any]) -> bool:
    """Whether every choice of a whole answer ended naturally."""
    choices = body.get("choices") or ()
    for choice in choices:
        if choice.get("finish_reason") not in NATURAL:
            return False
    return bool(choices)
