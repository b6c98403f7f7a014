"""Recognizes chunks of a chat stream that differ from the one before only in their text.

Their other bytes are the same, and were read and checked before.
"""

from typing import Any

import orjson

from llm.cache.assembly import TEXTS
from llm.metering import usage_forms

# Random padding that hides the length of the text.
_PAD = "obfuscation"
# After so many chunks without a repetition, no more patterns are tried.
_MOST_TRIES = 4
_NOTHING = "", ""


class ChunkPattern:
    """The bytes of a chunk around its text, and around its padding if it has some."""

    def __init__(self) -> None:
        # The choice of the text, and the name of the text in it.
        self.index = 0
        self.name = ""
        self._before = b""
        self._between = b""
        self._end = b""
        self._tries = 0

    def text(self, payload: bytes) -> str:
        """The text of a chunk that matches the pattern; '' if it does not."""
        before, end = self._before, self._end
        if not before or not payload.startswith(before):
            return ""
        literal, _, pad = payload[len(before) :].rpartition(self._between)
        if end and not (pad.endswith(end) and _text(pad[: -len(end)])):
            return ""
        if pad and not end:
            return ""
        self._tries = 0
        return _text(literal)

    def learn(self, payload: bytes, chunk: dict[str, Any]) -> None:
        """Make the pattern of a chunk that has one text and nothing else."""
        if self._tries == _MOST_TRIES:
            return
        self._tries += 1
        name, text = _only_text(chunk)
        pad = chunk.get(_PAD)
        before, _, between = payload.rpartition(orjson.dumps(text))
        end = b""
        # Check it: another text and padding in their places must be read as such.
        parts, other = [before, orjson.dumps(f"{text}."), between], pad
        if pad and isinstance(pad, str):
            between, _, end = between.rpartition(orjson.dumps(pad))
            other = f"{pad}."
            parts[2:] = between, orjson.dumps(other), end
        try:
            read = orjson.loads(b"".join(parts))
        except orjson.JSONDecodeError:
            return
        if name and _only_text(read) == (name, f"{text}.") and read.get(_PAD) == other:
            self._before, self._between, self._end = before, between, end
            self.name, self.index = name, chunk["choices"][0]["index"]


def _text(literal: bytes) -> str:
    try:
        text = orjson.loads(literal)
    except orjson.JSONDecodeError:
        return ""
    return text if isinstance(text, str) else ""


def _only_text(chunk: dict[str, Any]) -> tuple[str, str]:
    """The name and the text of a chunk with one text only; else empty strings."""
    choices = chunk.get("choices")
    if not choices or len(choices) != 1 or usage_forms.find(chunk):
        return _NOTHING
    part = choices[0]
    if {name for name, value in part.items() if value is not None} != {
        "index",
        "delta",
    }:
        return _NOTHING
    texts = [one for one in part["delta"].items() if one[1] and one[0] != "role"]
    if len(texts) != 1 or type(part["index"]) is not int:
        return _NOTHING
    name, text = texts[0]
    return (name, text) if name in TEXTS and isinstance(text, str) else _NOTHING
