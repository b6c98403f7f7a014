"""Continues a stream with another call's answer, without repeating its beginning."""

from collections.abc import Sequence
from typing import Any

import orjson

from llm.dialects.responses import NativeStream
from llm.upstream.sse import Splitter, TooLarge, is_done

# The members of chunks of plain text: only such chunks can be skipped by comparing.
_PLAIN = frozenset({"role", "content"})
_PLAIN_CHOICE = frozenset({"index", "delta", "finish_reason"})
_PLAIN_CHUNK = frozenset({"choices", "usage", "error"})
SHUTDOWN = "server_shutdown"


class CannotResume(Exception):
    """The new answer begins differently, or the old one was more than plain text."""


class StreamResumption:
    """Passes on what comes after the text that was `passed` already."""

    def __init__(self, passed: list[bytes]) -> None:
        """Raises CannotResume."""
        events = Splitter().feed(b"".join(passed))
        self._skip = "".join(_text(_read(payload)) for _, payload in events)
        self._splitter = Splitter()
        self._has_passed = bool(passed)
        self._over = False

    def feed(self, part: bytes) -> bytes:
        """The part of `part` that is new. Raises CannotResume."""
        if not self._has_passed:
            return part
        try:
            events = list(self._splitter.feed(part))
        except TooLarge as error:
            raise CannotResume from error
        return b"".join(self._rest(raw, payload) for raw, payload in events)

    def end(self) -> None:
        """The new answer is over. Raises CannotResume if the old one went further."""
        if self._skip and not self._over:
            raise CannotResume

    def _rest(self, raw: bytes, payload: bytes) -> bytes:
        if not self._skip:
            return raw
        if is_done(payload):
            raise CannotResume
        chunk = _read(payload)
        if chunk.get("error"):
            # It broke off before it came as far: the caller gets the error.
            self._over = True
            return raw
        return self._new(chunk, _text(chunk))

    def _new(self, chunk: dict[str, Any], text: str) -> bytes:
        """What is new in a chunk that begins within the old text."""
        if not text:
            # The role, or the end before the old text was reached.
            if any(one.get("finish_reason") for one in chunk.get("choices") or ()):
                raise CannotResume
            return b""
        ended = chunk["choices"][0].get("finish_reason")
        if self._skip.startswith(text) and not ended:
            self._skip = self._skip[len(text) :]
            return b""
        if not text.startswith(self._skip):
            raise CannotResume
        rest = text[len(self._skip) :]
        chunk["choices"][0]["delta"] = {"content": rest} if rest else {}
        self._skip = ""
        return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _read(payload: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise CannotResume from error
    if not isinstance(chunk, dict):
        raise CannotResume
    return chunk


def _text(chunk: dict[str, Any]) -> str:
    """The text of a chunk with one choice. Raises CannotResume for anything else."""
    choices: list[dict[str, Any]] = chunk.get("choices") or []
    if any(isinstance(value, dict | list) and value for name, value in chunk.items()
           if name not in _PLAIN_CHUNK):  # fmt: skip
        raise CannotResume
    if not choices:
        return ""
    choice = choices[0]
    delta = choice.get("delta") or {}
    more = _has_more(delta, _PLAIN) or _has_more(choice, _PLAIN_CHOICE)
    if len(choices) > 1 or choice.get("index", 0) or more:
        raise CannotResume
    text = delta.get("content") or ""
    if not isinstance(text, str):
        raise CannotResume
    return text


def _has_more(part: dict[str, Any], plain: frozenset[str]) -> bool:
    return any(value for name, value in part.items() if value and name not in plain)


def error_event(
    request_id: str,
    code: str | None = None,
    passed: Sequence[bytes] = (),
    *,
    endpoint: str = "chat",
) -> bytes:
    """The error event for a follower whose stream cannot go on after `passed`."""
    error = {
        "message": "The stream broke off and could not go on; the answer is incomplete.",
        "type": "upstream_error",
        "param": None,
        "code": SHUTDOWN if code == SHUTDOWN else "stream_interrupted",
        "request_id": request_id,
    }
    if endpoint != "responses":
        return b"data: " + orjson.dumps({"error": error}) + b"\n\n"
    # Its events are numbered.
    reader = NativeStream()
    for raw, payload in Splitter().feed(b"".join(passed)):
        reader.read(raw, payload)
    return reader.error_event(error)
