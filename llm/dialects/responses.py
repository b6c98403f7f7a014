"""Responses, for providers that have the endpoint themselves."""

from typing import Any

import orjson

from llm.dialects.base import Dialect, Malformed, Piece, Sort, StreamReader, Whole
from llm.dialects.chat import parse, text_size
from llm.types import Candidate, Held

_ENDINGS = ("response.completed", "response.incomplete")


class NativeStream(StreamReader):
    """Passes the typed events on; content is every `.delta`."""

    _last = -1

    def read(self, raw: bytes, payload: bytes) -> Piece:
        if payload == b"[DONE]":
            return Piece(Sort.DROP)
        event = parse(payload)
        kind = str(event.get("type", ""))
        number = event.get("sequence_number")
        self._last = number if isinstance(number, int) else self._last
        if kind == "error" or kind == "response.failed":
            return Piece(Sort.ERROR, error=_error(event))
        if kind.endswith(".delta"):
            self.size += text_size(event.get("delta"))
            self.pieces += 1
            return Piece(Sort.CONTENT, raw)
        if kind in _ENDINGS:
            response = event.get("response") or {}
            self.usage, self.finished = response.get("usage"), True
            self._final = raw
            return Piece(Sort.DONE)
        return Piece(Sort.PASS if self.pieces else Sort.HELD, raw)

    _final = b""

    def ending(self) -> bytes:
        return self._final

    def failed(self, error: dict[str, Any]) -> bytes:
        event = {
            "type": "error",
            "sequence_number": self._last + 1,
            **{name: error.get(name) for name in ("code", "message", "param")},
            "error": error,
        }
        return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"


def _error(event: dict[str, Any]) -> dict[str, Any]:
    response = event.get("response")
    found = response.get("error") if isinstance(response, dict) else None
    found = found or event.get("error") or event
    return found if isinstance(found, dict) else {"message": str(found)}


def output_size(output: Any) -> int:
    """UTF-8 bytes of the generated text in a Response's output. Raises Malformed."""
    if not isinstance(output, list):
        raise Malformed("The reply has no output.")
    size = 0
    for item in output:
        if not isinstance(item, dict):
            raise Malformed("The reply's output has another form.")
        size += text_size(item.get("arguments"))
        for part in item.get("content") or ():
            if isinstance(part, dict):
                size += text_size(part.get("text")) + text_size(part.get("refusal"))
    return size


class Responses(Dialect):
    path = "/responses"

    def body(self, held: Held, candidate: Candidate) -> dict[str, Any]:
        return {
            **held.plan.body,
            "model": candidate.upstream_model,
            "max_output_tokens": held.plan.max_output,
        }

    def whole(self, held: Held, parsed: dict[str, Any], raw: bytes) -> Whole:
        size = output_size(parsed.get("output"))
        natural = parsed.get("status") == "completed"
        return Whole(raw, parsed.get("usage"), size, natural)

    def reader(self, held: Held) -> NativeStream:
        return NativeStream()


DIALECT = Responses()
