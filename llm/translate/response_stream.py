"""The chunks of a streamed chat as the events of a streamed Response."""

from typing import Final

import orjson

from llm.metering import usage_forms
from llm.translate.chat import (
    calls_in,
    logprobs_in,
    object_in,
    objects_in,
    text_in,
    thoughts_in,
)
from llm.translate.envelope import TranslationStatus, echo, head, outcome, usage_of
from llm.translate.events import EventWriter, before
from llm.translate.items import Names
from llm.translate.stream_output import Output
from llm.translate.typed_fields import Json
from valuecanvas.core.errors import UpstreamError

IN_PROGRESS: Final = TranslationStatus("in_progress")
# The codes that a failed Response may carry, of those a chat can end with.
ERROR_CODES: Final = frozenset(
    {"invalid_prompt", "rate_limit_exceeded", "server_error"}
)


class ResponseStream:
    """Turns the chunks of one chat into server-sent events, encoded.

    Call `feed` with each chunk, then once either `finish`, after the provider's
    [DONE], or `fail`. Later calls are ignored.
    """

    def __init__(self, *, request: Json, response_id: str, created: int) -> None:
        """`request` is the Responses request, `created` in Unix seconds."""
        self._request = request
        self._response_id = response_id
        self._created = created
        self._writer = EventWriter()
        self._output = Output(Names(response_id), self._writer)
        self._first: Json = {}
        self._echo = b""
        self._usage: Json = {}
        # The choice that the answer is made of.
        self._choice: object = None
        self._finish_reason: object = None
        self._is_over = False

    def feed(self, chunk: Json) -> list[bytes]:
        """The events of one chunk; often none or one. Unknown parts are left out.

        Raises UpstreamError for an error in its place; then call `fail`.
        """
        if self._is_over:
            return []
        if chunk.get("error"):
            raise UpstreamError(
                "The provider broke off its answer.", code="stream_interrupted"
            )
        events = self._start(chunk)
        usage = object_in(chunk, "usage") or usage_forms.beside(chunk)
        self._usage = usage or self._usage
        for choice in objects_in(chunk, "choices"):
            # A Response has one answer; a provider may still send others.
            index = choice.get("index") or 0
            if self._choice is None:
                self._choice = index
            if index == self._choice:
                self._grow(choice, events)
        return events

    def finish(self, now: int | None = None) -> list[bytes]:
        """The closing events; the last one carries the whole Response.

        `now` is in Unix seconds, and the time of creation unless given.
        """
        if self._is_over:
            return []
        events = self._start({})
        self._is_over = True
        state = outcome(self._finish_reason)
        events += self._output.close(state.item_status)
        completed = now or self._created if state.status == "completed" else None
        events.append(self._lifecycle(f"response.{state.status}", state, completed))
        return events

    def fail(self, error: Json) -> list[bytes]:
        """The events of a failure; `error` is the inside of an OpenAI error body."""
        if self._is_over:
            return []
        events = self._start({})
        self._is_over = True
        self._output.abandon()
        error = {"type": "server_error", "param": None, "code": None, **error}
        flat = {name: error.get(name) for name in ("code", "message", "param")}
        # The reference has these fields flat. OpenAI sends them under `error`,
        # and its SDKs raise on nothing else: a flat one looks like any event.
        events.append(self._writer.event("error", {**flat, "error": error}))
        code = error.get("code")
        details = {
            "code": code if code in ERROR_CODES else "server_error",
            "message": error.get("message") or "The answer broke off.",
        }
        failed = TranslationStatus("failed", error=details)
        events.append(self._lifecycle("response.failed", failed))
        return events

    def _start(self, chunk: Json) -> list[bytes]:
        if self._echo:
            return []
        self._first = {name: chunk.get(name) for name in ("model", "service_tier")}
        self._echo = orjson.dumps(echo(self._request))
        return [
            self._lifecycle("response.created", IN_PROGRESS),
            self._lifecycle("response.in_progress", IN_PROGRESS),
        ]

    def _grow(self, choice: Json, events: list[bytes]) -> None:
        delta = object_in(choice, "delta")
        output = self._output
        if text := thoughts_in(delta):
            events += output.write("reasoning_summary_text", text, [])
        if text := text_in(delta, "content"):
            events += output.write("output_text", text, logprobs_in(choice))
        if text := text_in(delta, "refusal"):
            events += output.write("refusal", text, [])
        for call in calls_in(delta):
            events += output.call(call)
        self._finish_reason = choice.get("finish_reason") or self._finish_reason

    def _lifecycle(
        self, kind: str, state: TranslationStatus, completed: int | None = None
    ) -> bytes:
        """An event with the Response in it; the echo is encoded once for all."""
        changing = orjson.dumps(
            {
                **head(
                    self._first,
                    self._request,
                    response_id=self._response_id,
                    created=self._created,
                    state=state,
                ),
                "completed_at": completed,
                "output": self._output.items(),
                "usage": usage_of(self._usage),
            }
        )
        response = b"%b,%b" % (changing[:-1], self._echo[1:])
        return self._writer.splice(before(kind, "response", {}), response)
