"""Going on with a stream that was begun by another call: the same beginning is skipped."""

from typing import Any

import orjson

from llm.sse import Splitter


class CannotResume(Exception):
    """The new answer begins otherwise, or the old one was more than plain text."""


class Resume:
    """Passes on what comes after the text that was `passed` already."""

    def __init__(self, passed: list[bytes]) -> None:
        self._skip = "".join(_text(event) for event in passed)
        self._splitter = Splitter()
        self._begun = bool(passed)

    def feed(self, part: bytes) -> bytes:
        """The part of `part` that is new. Raises CannotResume."""
        if not self._begun:
            return part
        return b"".join(
            self._rest(raw, payload) for raw, payload in self._splitter.feed(part)
        )

    def _rest(self, raw: bytes, payload: bytes) -> bytes:
        if payload == b"[DONE]":
            if self._skip:
                raise CannotResume
            return raw
        chunk = orjson.loads(payload)
        if not self._skip:
            return raw
        text = _text(raw)
        if not text:
            # The role, or the end before the old text was reached.
            if any(one.get("finish_reason") for one in chunk.get("choices") or ()):
                raise CannotResume
            return b""
        if self._skip.startswith(text):
            self._skip = self._skip[len(text) :]
            return b""
        if not text.startswith(self._skip):
            raise CannotResume
        chunk["choices"][0]["delta"] = {"content": text[len(self._skip) :]}
        self._skip = ""
        return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _text(event: bytes) -> str:
    """The text of an event with one choice. Raises CannotResume for anything else."""
    payload = event.removeprefix(b"data:").strip()
    choices: list[dict[str, Any]] = orjson.loads(payload).get("choices") or []
    if not choices:
        return ""
    delta = choices[0].get("delta") or {}
    if len(choices) > 1 or choices[0].get("index", 0) or delta.get("tool_calls"):
        raise CannotResume
    return delta.get("content") or ""


def error_event(request_id: str) -> bytes:
    """What a follower gets whose stream cannot go on."""
    error = {
        "message": "The stream broke off and could not go on; the answer is incomplete.",
        "type": "upstream_error",
        "param": None,
        "code": "stream_interrupted",
        "request_id": request_id,
    }
    return b"data: " + orjson.dumps({"error": error}) + b"\n\n"
