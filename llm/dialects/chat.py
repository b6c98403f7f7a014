"""Chat completions, relayed as they are."""

from typing import Any

import orjson

from llm.cache.assembly import Assembly, natural
from llm.dialects.base import Dialect, Malformed, Piece, Sort, StreamReader, Whole
from llm.types import Candidate, Held

_CONTENT = frozenset(
    {
        "content",
        "tool_calls",
        "refusal",
        "reasoning_content",
        "reasoning",
        "function_call",
        "audio",
    }
)
_NOTHING: dict[str, Any] = {}


def capped(body: dict[str, Any], held: Held, candidate: Candidate) -> dict[str, Any]:
    """`body` for this provider: its model name, and an output cap that it reads."""
    sent = {**body, "model": candidate.upstream_model}
    wanted = candidate.provider.kind.cap_field
    for name in ("max_tokens", "max_completion_tokens"):
        if name in sent and (name != wanted or sent[name] is None):
            del sent[name]
    sent[wanted] = held.plan.max_output
    if held.plan.shape.stream:
        options = body.get("stream_options") or {}
        sent["stream_options"] = {**options, "include_usage": True}
    return sent


def text_size(value: Any) -> int:
    """UTF-8 bytes of the generated text in a message or a delta."""
    if isinstance(value, str):
        if value.isascii():
            return len(value)
        return len(value.encode("utf-8", "replace"))
    return len(orjson.dumps(value)) if value else 0


class ChatStream(StreamReader):
    """Passes chunks on byte for byte; asks usage for itself, hides it if unasked."""

    def __init__(self, *, include_usage: bool) -> None:
        self._include_usage = include_usage

    def read(self, raw: bytes, payload: bytes) -> Piece:
        if payload == b"[DONE]":
            return Piece(Sort.DONE)
        chunk = parse(payload)
        if chunk.get("error"):
            return Piece(Sort.ERROR, error=chunk["error"])
        if self.assembly is not None:
            self._assemble(self.assembly, chunk)
        choices = chunk.get("choices")
        usage = chunk.get("usage")
        if usage:
            self.usage = usage
        if not choices:
            hidden = usage and not self._include_usage
            sort = Sort.DROP if hidden else Sort.PASS
            return Piece(sort, raw, usage=bool(usage))
        if usage and not self._include_usage:
            # Some send it beside the last choice: not to those who did not ask.
            del chunk["usage"]
            raw = b"data: " + orjson.dumps(chunk) + b"\n\n"
        return self._choices(choices, raw)

    def _assemble(self, assembly: Assembly, chunk: dict[str, Any]) -> None:
        try:
            assembly.add(chunk)
        except (AttributeError, TypeError, ValueError):
            # In a form that we cannot join: it is passed on, but not shared.
            self.assembly = None

    def _choices(self, choices: Any, raw: bytes) -> Piece:
        sort = Sort.HELD
        try:
            for choice in choices:
                for name, value in (choice.get("delta") or _NOTHING).items():
                    if value and name in _CONTENT:
                        sort = Sort.CONTENT
                        self.size += text_size(value)
                if choice.get("finish_reason"):
                    self.finished = True
                    if sort is Sort.HELD:
                        sort = Sort.PASS
        except AttributeError as error:
            raise Malformed("A stream chunk has choices of another form.") from error
        if sort is Sort.CONTENT:
            self.pieces += 1
        return Piece(sort, raw)

    def ending(self) -> bytes:
        return b"data: [DONE]\n\n"

    def failed(self, error: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps({"error": error}) + b"\n\n"


def parse(payload: bytes) -> dict[str, Any]:
    """A chunk as a dict. Raises Malformed."""
    try:
        chunk = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Malformed("A stream chunk is not JSON.") from error
    if not isinstance(chunk, dict):
        raise Malformed("A stream chunk is not an object.")
    return chunk


def read_choices(parsed: dict[str, Any]) -> int:
    """The bytes of generated text. Raises Malformed."""
    choices = parsed.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Malformed("The reply has no choices.")
    size = 0
    try:
        for choice in choices:
            message = choice["message"]
            size += sum(text_size(message.get(name)) for name in _CONTENT)
    except (KeyError, AttributeError, TypeError) as error:
        raise Malformed("The reply's choices have another form.") from error
    return size


class Chat(Dialect):
    path = "/chat/completions"

    def body(self, held: Held, candidate: Candidate) -> dict[str, Any]:
        return capped(held.plan.body, held, candidate)

    def whole(self, held: Held, parsed: dict[str, Any], raw: bytes) -> Whole:
        size = read_choices(parsed)
        return Whole(raw, parsed.get("usage"), size, natural(parsed))

    def reader(self, held: Held) -> ChatStream:
        return ChatStream(include_usage=held.plan.shape.include_usage)


DIALECT = Chat()
