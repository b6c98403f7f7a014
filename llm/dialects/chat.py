"""Chat completions, passed on as they are."""

from typing import Any

import orjson

from llm.cache.assembly import NATURAL, natural
from llm.cache.entry import Form
from llm.cache.replay import is_streamable
from llm.dialects.base import (
    Dialect,
    Malformed,
    Piece,
    ProviderError,
    Sort,
    StreamReader,
    WholeReply,
)
from llm.dialects.chunk_pattern import ChunkPattern
from llm.dialects.generated_text import (
    CONTENT,
    generated_in,
    generated_texts,
    text_size,
)
from llm.metering import usage_forms
from llm.providers.error_body import is_error
from llm.translate.reasoning import is_reasoning, reasoning_text
from llm.types import AdmittedCall, Candidate
from llm.upstream.sse import is_done
from valuecanvas.core import json_numbers

_NOTHING: dict[str, Any] = {}
# What each chunk repeats.
_HEAD = ("id", "object", "created", "model")
_DROPPED = Piece(Sort.DROP)
FILTERED = "content_filter"
# How events begin that have no name, and are not the end.
_COMMON = b"data: {"


def adapt_body(
    body: dict[str, Any], held: AdmittedCall, candidate: Candidate
) -> dict[str, Any]:
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


class ChatStream(StreamReader):
    """Passes chunks on byte for byte; hides usage that the client did not ask for."""

    def __init__(self, *, include_usage: bool, choices: int = 1) -> None:
        self._include_usage = include_usage
        self._choices = choices
        # The choices that have ended.
        self._ended: set[int] = set()
        self._pattern = ChunkPattern()
        # Members of the first chunk, for a chunk that we add.
        self._head: dict[str, Any] = {}
        # Whether a chunk with the usage was sent.
        self._usage_sent = False

    def _read(self, raw: bytes, payload: bytes) -> Piece:
        if raw.startswith(_COMMON):
            if text := self._pattern.text(payload):
                return self._text(text, raw, payload)
        elif is_done(payload):
            return Piece(Sort.DONE)
        elif is_error_event(raw):
            return Piece(Sort.ERROR, error=payload.decode("utf-8", "replace"))
        chunk = parse(payload)
        choices = chunk.get("choices")
        if chunk.get("error") or (not choices and is_error(chunk, "choices")):
            return Piece(Sort.ERROR, error=chunk)
        if self.assembly is not None:
            self.assembly.add(chunk, payload)
        piece = self._chunk(chunk, raw, payload)
        if piece.sort is Sort.CONTENT:
            self._pattern.learn(payload, chunk)
        return piece

    def _text(self, text: str, raw: bytes, payload: bytes) -> Piece:
        """Read a chunk that differs from an earlier one only in its text."""
        self.size += text_size(text)
        self.pieces += 1
        if self.assembly is not None:
            known = self._pattern
            self.assembly.add_text(known.index, known.name, text, len(payload))
        return Piece(Sort.CONTENT, raw)

    def _chunk(self, chunk: dict[str, Any], raw: bytes, payload: bytes) -> Piece:
        choices = chunk.get("choices")
        usage = chunk.get("usage") or usage_forms.beside(chunk)
        if usage:
            self.usage = usage
        if not self._head:
            self._head = {name: chunk[name] for name in _HEAD if name in chunk}
        if not choices and usage:
            self._usage_sent = True
            return Piece(Sort.PASS, raw, bare=b"") if self._include_usage else _DROPPED
        if not choices:
            return Piece(Sort.PASS, raw)
        bare = None
        if chunk.get("usage"):
            # Some send it beside a choice: hide it from clients that did not ask.
            self._usage_sent, bare = True, _without_usage(payload)
            if not self._include_usage:
                raw, bare = bare, None
        if not isinstance(choices, list):
            raise Malformed("A stream chunk has no list of choices.")
        return self._piece(choices, raw, bare)

    def _piece(
        self, choices: list[dict[str, Any]], raw: bytes, bare: bytes | None
    ) -> Piece:
        sort = Sort.HELD
        for choice in choices:
            if self._measure(choice.get("delta") or _NOTHING):
                sort = Sort.CONTENT
            if reason := choice.get("finish_reason"):
                if is_failure(reason):
                    return Piece(Sort.ERROR, error={"error": choice.get("error")})
                self._end(choice.get("index", 0), reason)
                if sort is Sort.HELD:
                    sort = Sort.PASS
        if sort is Sort.CONTENT:
            self.pieces += 1
        return Piece(sort, raw, bare=bare)

    def _measure(self, delta: dict[str, Any]) -> bool:
        """Add the size of a delta's content; whether it has any."""
        content = reasoning = False
        for name, value in delta.items():
            if not value or name == "role":
                continue
            if name in CONTENT:
                content = True
                if isinstance(value, str):
                    self.size += text_size(value)
                else:
                    self.size += sum(map(text_size, generated_in(name, value)))
            elif is_reasoning(name):
                reasoning = True
        if reasoning:
            self.size += text_size(reasoning_text(delta))
        return content or reasoning

    def _end(self, index: int, reason: Any) -> None:
        if not isinstance(reason, str):
            raise Malformed("A stream chunk ends for no reason that is a text.")
        self._ended.add(index)
        self.finished = len(self._ended) >= self._choices
        self.filtered = self.filtered or reason == FILTERED
        self.natural = self.natural and reason in NATURAL

    def unsent_usage(self, usage: dict[str, int]) -> bytes:
        if self._usage_sent or not self._include_usage:
            return b""
        chunk = {**self._head, "choices": [], "usage": usage}
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    def ending(self) -> bytes:
        return b"data: [DONE]\n\n"

    def error_event(self, error: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps({"error": error}) + b"\n\n"


def _without_usage(payload: bytes) -> bytes:
    """The event of a chunk without the usage beside its choice."""
    chunk = json_numbers.loads(payload)
    del chunk["usage"]
    return b"data: " + json_numbers.dumps(chunk) + b"\n\n"


def is_error_event(raw: bytes) -> bool:
    """Whether the event is named `error`; chat chunks have no name."""
    return raw[:6] == b"event:" and raw[6 : raw.find(b"\n")].strip() == b"error"


def is_failure(reason: Any) -> bool:
    """Whether a choice ended because the provider failed."""
    return isinstance(reason, str) and (reason == "error" or reason.endswith("_error"))


def parse(payload: bytes) -> dict[str, Any]:
    """A chunk as a dict. Raises Malformed."""
    try:
        chunk = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Malformed("A stream chunk is not JSON.") from error
    if isinstance(chunk, list) and chunk:
        # Google wraps its errors in a list.
        chunk = chunk[0]
    if not isinstance(chunk, dict):
        raise Malformed("A stream chunk is not an object.")
    return chunk


def check_choices(parsed: dict[str, Any]) -> list[Any]:
    """The choices. Raises Malformed, and ProviderError for a choice that failed."""
    choices = parsed.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Malformed("The reply has no choices.")
    for choice in choices:
        if choice.get("error") or is_failure(choice.get("finish_reason")):
            raise ProviderError({"error": choice.get("error")})
    return choices


def read_choices(parsed: dict[str, Any]) -> tuple[str, ...]:
    """The generated texts. Raises as check_choices, and what Dialect.whole catches."""
    texts: tuple[str, ...] = ()
    for choice in check_choices(parsed):
        texts += generated_texts(choice["message"])
    return texts


def is_filtered(parsed: dict[str, Any]) -> bool:
    """Whether a content filter cut an answer."""
    return FILTERED in [one.get("finish_reason") for one in parsed["choices"]]


def as_whole(
    body: bytes, parsed: dict[str, Any], *, form: Form = Form.ANY
) -> WholeReply:
    """The WholeReply of a parsed chat reply. Raises as read_choices does."""
    texts = read_choices(parsed)
    return WholeReply(
        body,
        usage_forms.find(parsed),
        sum(map(text_size, texts)),
        natural(parsed),
        texts,
        is_filtered(parsed),
        form,
    )


class Chat(Dialect):
    path = "/chat/completions"

    def body(self, held: AdmittedCall, candidate: Candidate) -> dict[str, Any]:
        return adapt_body(held.plan.body, held, candidate)

    def _whole(
        self, held: AdmittedCall, parsed: dict[str, Any], raw: bytes
    ) -> WholeReply:
        streamable = is_streamable(parsed) and not json_numbers.rounds(raw)
        return as_whole(raw, parsed, form=Form.ANY if streamable else Form.WHOLE)

    def reader(self, held: AdmittedCall) -> ChatStream:
        shape = held.plan.shape
        return ChatStream(include_usage=shape.include_usage, choices=shape.choices)


DIALECT = Chat()
