"""Responses, for providers that have the endpoint themselves."""

from typing import Any

import orjson

from llm.dialects.base import Dialect, Malformed, Piece, Sort, StreamReader, Whole
from llm.dialects.chat import FILTERED, parse, text_size
from llm.sse import is_done
from llm.types import Candidate, Held

_ENDINGS = ("response.completed", "response.incomplete")
# All fields of a request that OpenAI's Responses API knows; others it refuses.
FIELDS = frozenset(
    {"access_programs", "background", "background_options", "context_management",
     "conversation", "image", "include", "input", "instructions", "max_output_tokens",
     "max_tool_calls", "metadata", "model", "moderation", "parallel_tool_calls",
     "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options",
     "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier",
     "store", "stream", "stream_options", "temperature", "text", "tool_choice", "tools",
     "top_logprobs", "top_p", "truncation", "user"}
)  # fmt: skip


class NativeStream(StreamReader):
    """Passes the typed events on; content is every `.delta`."""

    _last = -1

    def _read(self, raw: bytes, payload: bytes) -> Piece:
        if is_done(payload):
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
            self.filtered = _filtered(response)
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


def _filtered(response: dict[str, Any]) -> bool:
    """Did a content filter cut the answer?"""
    details = response.get("incomplete_details")
    return isinstance(details, dict) and details.get("reason") == FILTERED


def output_texts(output: Any) -> tuple[str, ...]:
    """The generated texts in a Response's output. Raises as Dialect.whole does."""
    if not isinstance(output, list):
        raise Malformed("The reply has no output.")
    found: list[Any] = []
    for item in output:
        found += (item.get("name"), item.get("arguments"), item.get("input"))
        for part in item.get("content") or ():
            if isinstance(part, dict):
                found += (part.get("text"), part.get("refusal"))
    return tuple(text for text in found if isinstance(text, str))


class Responses(Dialect):
    path = "/responses"

    def body(self, held: Held, candidate: Candidate) -> dict[str, Any]:
        plan = held.plan
        # An operator's parameters are for chats as well; a client's are its own affair.
        left_out = plan.chosen.given - FIELDS
        return {
            **{n: value for n, value in plan.body.items() if n not in left_out},
            "model": candidate.upstream_model,
            "max_output_tokens": plan.max_output,
        }

    def _whole(self, held: Held, parsed: dict[str, Any], raw: bytes) -> Whole:
        texts = output_texts(parsed.get("output"))
        return Whole(
            raw,
            parsed.get("usage"),
            sum(map(text_size, texts)),
            parsed.get("status") == "completed",
            texts,
            _filtered(parsed),
        )

    def reader(self, held: Held) -> NativeStream:
        return NativeStream()


DIALECT = Responses()
