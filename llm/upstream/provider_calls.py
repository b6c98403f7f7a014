"""Makes one call of a provider: a whole answer, or a stream up to its first content."""

import asyncio
import time
from dataclasses import dataclass

import orjson
from django.conf import settings

from llm import dialects
from llm.breaker.types import Pass
from llm.cache.assembly import Assembly
from llm.dialects.base import Dialect, Malformed, ProviderError, WholeReply
from llm.journal.journal import Journal, JournalFull
from llm.providers.base import Verdict
from llm.types import AdmittedCall, Candidate
from llm.upstream import http
from llm.upstream.attempts import Attempts
from llm.upstream.http import Failed, ProviderResponse
from llm.upstream.provider_client import ProviderClient, RequestBody
from llm.upstream.stream import UpstreamStream
from valuecanvas.core.telemetry import traces
from valuecanvas.core.threads import run_aside


@dataclass(slots=True)
class Delivery:
    """A whole answer and the route that delivered it."""

    candidate: Candidate
    whole: WholeReply


class ProviderCalls:
    """Calls providers, and records in the journal when."""

    def __init__(self, client: ProviderClient, journal: Journal) -> None:
        self._client = client
        self._journal = journal

    async def whole(self, attempts: Attempts, candidate: Candidate) -> Delivery:
        """Read a whole answer. Raises Failed."""
        held = attempts.held
        dialect = dialects.choose(held.call.endpoint, candidate)
        left = attempts.deadline - time.monotonic()
        try:
            async with asyncio.timeout(left):
                response = await self._post(attempts, candidate, dialect)
                try:
                    raw = await http.read_whole(response, settings.LLM_MAX_REPLY_BYTES)
                finally:
                    http.release(response)
        except TimeoutError as error:
            raise Failed(
                Verdict.FAILURE, "The provider's reply took too long.", timeout=True
            ) from error
        large = len(raw) > dialect.most_on_loop
        whole = await run_aside(large, _read, dialect, held, candidate, raw)
        return Delivery(candidate, whole)

    async def stream(
        self, attempts: Attempts, candidate: Candidate, permit: Pass
    ) -> UpstreamStream:
        """Open a stream and read up to its first content. Raises Failed."""
        held = attempts.held
        dialect = dialects.choose(held.call.endpoint, candidate)
        left = attempts.deadline - time.monotonic()
        within = min(held.plan.model.first_token_s, left)
        stream: UpstreamStream | None = None
        try:
            async with asyncio.timeout(within):
                response = await self._post(attempts, candidate, dialect)
                stream = UpstreamStream(
                    candidate, dialect.reader(held), permit, response
                )
                if held.place is not None and held.call.endpoint == "chat":
                    stream.reader.assembly = Assembly()
                await stream.begin()
        except BaseException as error:
            if stream is not None:
                stream.close()
            if isinstance(error, TimeoutError):
                what = "sent no token" if stream is not None else "did not answer"
                raise Failed(
                    Verdict.FAILURE, f"The provider {what} in time.", timeout=True
                ) from error
            raise
        return stream

    async def _post(
        self, attempts: Attempts, candidate: Candidate, dialect: Dialect
    ) -> ProviderResponse:
        try:
            return await self._send(attempts, candidate, dialect)
        except Failed as failure:
            if not dialect.can_omit(attempts.held, candidate, failure):
                raise
        return await self._send(attempts, candidate, dialect)

    async def _send(
        self, attempts: Attempts, candidate: Candidate, dialect: Dialect
    ) -> ProviderResponse:
        held = attempts.held
        large = held.call.size > dialect.most_on_loop
        body = await run_aside(large, dialect.encode, held, candidate)
        try:
            return await self._client.post(
                attempts,
                candidate,
                dialect.path,
                RequestBody(body, lambda: self._record_sending(attempts)),
                traceparent=_traceparent(attempts.count),
            )
        except Failed:
            if attempts.unrecorded is not None:
                raise attempts.unrecorded from None
            raise

    def _record_sending(self, attempts: Attempts) -> None:
        """Record that the provider may bill from here on. Raises JournalFull."""
        try:
            self._journal.record(attempts.held.call.id, attempts.route, 0)
        except JournalFull as error:
            # The pool wraps it in an error of its own.
            attempts.unrecorded = error
            raise
        attempts.note_sending()


def _traceparent(attempt: int) -> str:
    """The header for a provider that traces too; '' if it is to get none."""
    trace = traces.current() if settings.TRACE_PROVIDERS else None
    return trace.traceparent(trace.attempt_id(attempt)) if trace else ""


def _read(
    dialect: Dialect, held: AdmittedCall, candidate: Candidate, raw: bytes
) -> WholeReply:
    try:
        return dialect.whole(held, orjson.loads(raw), raw)
    except orjson.JSONDecodeError as error:
        raise Failed(
            Verdict.FAILURE, "The provider's reply is not JSON.", 200
        ) from error
    except ProviderError as error:
        raise http.in_band(candidate, error.body) from error
    except Malformed as error:
        raise Failed(error.verdict, str(error), 200) from error
