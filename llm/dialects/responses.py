"""Responses, for providers that have this endpoint."""

from typing import Any

from llm.dialects.base import Dialect, Malformed, Piece, Sort, StreamReader, WholeReply
from llm.dialects.chat import FILTERED, is_error_event, parse
from llm.dialects.generated_text import text_size
from llm.providers.base import Verdict
from llm.providers.error_body import is_error
from llm.replies.stored import DONE
from llm.translate.chat import object_in
from llm.translate.tools import with_mode
from llm.types import AdmittedCall, Candidate
from llm.upstream.http import Failed
from llm.upstream.sse import is_done
from valuecanvas.core import json_numbers

_ENDINGS = ("response.completed", "response.incomplete")
_FAILED = "response.failed"
# The option to get reasoning that can be sent back to a provider that stores none.
ENCRYPTED = "reasoning.encrypted_content"
# Items whose id can be left out.
_NAMED = (None, "message", "function_call", "function_call_output", "custom_tool_call",
          "custom_tool_call_output")  # fmt: skip
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
    """Passes typed events on; every `.delta` is content."""

    def __init__(self) -> None:
        self._last = -1
        # The response object of the first event that has one.
        self._response: dict[str, Any] = {}
        self._final = b""
        # The provider's error, and the event that ends the stream.
        self._error: dict[str, Any] = {}
        self._failure = b""

    def _read(self, raw: bytes, payload: bytes) -> Piece:
        if is_done(payload):
            return Piece(Sort.DROP)
        event = parse(payload)
        kind = str(event.get("type", ""))
        if is_error_event(raw) or is_error(event, "type"):
            self._error = _error(event)
            return Piece(Sort.ERROR, error=self._error)
        raw = self._in_order(event, raw, payload)
        if not self._response:
            self._response = object_in(event, "response")
        if kind == _FAILED:
            self._failure = raw
            self.usage = object_in(event, "response").get("usage")
            return Piece(Sort.ERROR, error=_error(event))
        if kind.endswith(".delta"):
            self.size += text_size(event.get("delta"))
            self.pieces += 1
            return Piece(Sort.CONTENT, raw)
        if kind in _ENDINGS:
            response = event.get("response") or {}
            self.usage, self.finished = response.get("usage"), True
            self.natural = kind == "response.completed"
            self.filtered = _filtered(response)
            self._final = raw
            return Piece(Sort.DONE)
        return Piece(Sort.PASS if self.pieces else Sort.HELD, raw)

    def _in_order(self, event: dict[str, Any], raw: bytes, payload: bytes) -> bytes:
        """The event, renumbered if its number is not higher than the last."""
        number = event.get("sequence_number")
        if not isinstance(number, int):
            return raw
        if number > self._last:
            self._last = number
            return raw
        return self._numbered(json_numbers.loads(payload))

    def _numbered(self, event: dict[str, Any]) -> bytes:
        self._last += 1
        data = json_numbers.dumps({**event, "sequence_number": self._last})
        return b"event: %b\ndata: %b\n\n" % (str(event.get("type")).encode(), data)

    def ending(self) -> bytes:
        return self._final + DONE

    def error_event(self, error: dict[str, Any]) -> bytes:
        if self._failure:
            return self._failure
        names = ("code", "message", "param")
        own = {n: self._error[n] for n in names if isinstance(self._error.get(n), str)}
        error = {**error, **own}
        flat = {name: error.get(name) for name in names}
        out = self._numbered({"type": "error", **flat, "error": error})
        if self._response:
            why = {
                "code": own.get("code", "server_error"),
                "message": error.get("message"),
            }
            failed = {**self._response, "status": "failed", "error": why}
            out += self._numbered({"type": _FAILED, "response": failed})
        return out


def _error(event: dict[str, Any]) -> dict[str, Any]:
    found = object_in(event, "response").get("error") or event.get("error") or event
    return found if isinstance(found, dict) else {"message": str(found)}


def _filtered(response: dict[str, Any]) -> bool:
    """Whether a content filter cut the answer."""
    return object_in(response, "incomplete_details").get("reason") == FILTERED


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
    answer = "output"

    def __init__(self) -> None:
        # The providers' models that have refused to send encrypted reasoning.
        self._unencrypted: set[tuple[str, str]] = set()

    def body(self, held: AdmittedCall, candidate: Candidate) -> dict[str, Any]:
        plan = held.plan
        # An operator's parameters may be for chats; a client's are sent as they are.
        left_out = plan.chosen.preset - FIELDS
        body = {
            **{n: value for n, value in plan.body.items() if n not in left_out},
            "model": candidate.upstream_model,
            "max_output_tokens": plan.max_output,
            "input": _without_lookups(plan.body.get("input")),
        }
        if "tool_choice" in body:
            body["tool_choice"] = with_mode(body["tool_choice"])
        if _name(candidate) not in self._unencrypted:
            body["include"] = _with_encrypted(body.get("include"))
        return body

    def can_omit(
        self, held: AdmittedCall, candidate: Candidate, failed: Failed
    ) -> bool:
        """Whether a model without reasoning refused our `include`, then left out."""
        asked = held.plan.body.get("include")
        error = failed.error or {}
        ours = asked is None or (isinstance(asked, list) and ENCRYPTED not in asked)
        blamed = str(error.get("param")).startswith("include")
        message = str(error.get("message")).lower()
        named = "encrypted content" in message and "support" in message
        if failed.verdict is not Verdict.CLIENT or not ours or not (blamed or named):
            return False
        self._unencrypted.add(_name(candidate))
        return True

    def _whole(
        self, held: AdmittedCall, parsed: dict[str, Any], raw: bytes
    ) -> WholeReply:
        texts = output_texts(parsed.get("output"))
        return WholeReply(
            raw,
            parsed.get("usage"),
            sum(map(text_size, texts)),
            parsed.get("status") == "completed",
            texts,
            _filtered(parsed),
        )

    def reader(self, held: AdmittedCall) -> NativeStream:
        return NativeStream()


def _name(candidate: Candidate) -> tuple[str, str]:
    return candidate.provider.key, candidate.upstream_model


def _with_encrypted(include: Any) -> Any:
    """`include` with encrypted reasoning, which the next request can send back."""
    if include is None:
        return [ENCRYPTED]
    if not isinstance(include, list) or ENCRYPTED in include:
        return include
    return [*include, ENCRYPTED]


def _without_lookups(given: Any) -> Any:
    """The input without reasoning items that have only an id.

    The provider would look them up in the account that all callers share. The other
    items lose their ids: by those the provider would miss the reasoning.
    """
    if not isinstance(given, list) or not any(map(_is_bare, given)):
        return given
    return [_nameless(item) for item in given if not _is_bare(item)]


def _is_bare(item: Any) -> bool:
    reasons = isinstance(item, dict) and item.get("type") == "reasoning"
    return reasons and not item.get("encrypted_content")


def _nameless(item: Any) -> Any:
    if not isinstance(item, dict) or item.get("type") not in _NAMED:
        return item
    return {name: value for name, value in item.items() if name != "id"}


DIALECT = Responses()
