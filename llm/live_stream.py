"""Sends a stream to its client, watches how it ends, and settles it once."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from django.conf import settings

from llm.breaker.types import Event
from llm.cache.recording import Recording
from llm.coalesce.sharing import AnswerSharing
from llm.dialects.base import Piece, Sort
from llm.journal.journal import Journal, JournalFull
from llm.metering import tokens
from llm.replies.stored import SentParts, usage_of, with_cost
from llm.settlement.outcome import RequestOutcome, cost_of, injected_outcome
from llm.settlement.settlement import Settlement
from llm.settlement.token_count import count_tokens
from llm.types import Summary
from llm.upstream import http, stream_error
from llm.upstream.attempts import Attempts
from llm.upstream.failures import add_failure
from llm.upstream.http import Failed
from llm.upstream.outcomes import BreakerReports
from llm.upstream.stream import UpstreamStream
from valuecanvas.core import failpoints
from valuecanvas.core.wait_timer import NEVER, WaitTimer

# A probe succeeds after this many seconds of tokens, before its stream ends.
HEALTHY_S = settings.BREAKER_HEALTHY_S
# A client that takes this long to read on was slow.
SLOW_CLIENT_S = 5.0
# The error code of a stream that took longer than it may.
LATE = "stream_interrupted"


class LiveStream(WaitTimer):
    """The parts of a streamed answer. `aclose` before the end: the client left."""

    def __init__(
        self,
        *,
        journal: Journal,
        outcomes: BreakerReports,
        sharing: AnswerSharing,
        settlement: Settlement,
        record_failures: Callable[[Attempts], None],
        attempts: Attempts,
        stream: UpstreamStream,
        headers: dict[str, str],
    ) -> None:
        self._journal = journal
        self._outcomes = outcomes
        self._sharing = sharing
        self._settlement = settlement
        self._record_failures = record_failures
        self._attempts = attempts
        self._stream = stream
        self._headers = headers
        # All that was sent, for a request with an idempotency key.
        self._sent = SentParts() if attempts.held.claim else None
        self._recording = Recording(attempts.held, stream.reader)
        self._started_at = time.monotonic()
        self._ttft_ms = int((self._started_at - attempts.held.call.started) * 1000)
        self._probing = stream.permit.probe
        self._settled = False
        self.over = False
        self._started = False
        # The event that ended the provider's stream, once one has.
        self._last: Sort | None = None
        self._failure = stream_error.broken_off()
        # When the last part was read, and whether the client was ever slow to read on: a
        # provider whose bytes are not read may give up.
        self._read_at = self._started_at
        self._client_was_slow = False
        # The error code if the stream is to end now.
        self._stop_code = ""
        self._between_s = attempts.held.plan.model.between_tokens_s

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.over:
            await self._close()
            raise StopAsyncIteration
        try:
            return await self._next_part()
        except BaseException:
            await self._close()
            raise

    @property
    def deadline(self) -> float:
        """When the answer must have been delivered, by the monotonic clock."""
        return self._attempts.deadline

    async def wait_until_unwanted(self) -> None:
        """Wait until no other request wants the rest of a stream whose client left."""
        call = self._attempts.held.shared_call
        if call is not None:
            await call.wait_until_unfollowed()

    def interrupt(self, code: str) -> None:
        """End the stream soon, with an in-band error of this code."""
        self._stop_code = code
        if self._due != NEVER:
            self._stream.stop(stream_error.stop_failure())

    async def aclose(self) -> None:
        """End the stream where it is: what was delivered is billed."""
        self.over = True
        await self._close()

    async def _next_part(self) -> bytes:
        """The next part to send; the last one is the end of the stream."""
        try:
            while self._last is None:
                pieces = await self._pieces()
                if pieces is None:
                    finished = self._stream.reader.finished
                    self._last = Sort.DONE if finished else Sort.ERROR
                elif out := self._filter(pieces):
                    return self._log_sent(out)
        except Failed as failure:
            # Without its frames: they refer to this stream.
            self._failure = failure.with_traceback(None)
            self._last = Sort.ERROR
        except JournalFull as error:
            # What is not recorded may not be sent.
            self._stop_code = str(error.code)
            self._last = Sort.ERROR
        done = self._last is Sort.DONE
        ending = await (self._finish() if done else self._break_off())
        self.over = True
        return ending

    def _filter(self, pieces: list[Piece]) -> bytes:
        """The bytes of `pieces` to send; they are shared with followers."""
        passed: list[Piece] = []
        if not self._started:
            self._started = True
            passed += self._stream.first
        for piece in pieces:
            if piece.sort is Sort.DONE or piece.sort is Sort.ERROR:
                self._last = piece.sort
                if piece.sort is Sort.ERROR:
                    self._failure = http.in_band(self._stream.candidate, piece.error)
                break
            if piece.sort is not Sort.DROP:
                passed.append(piece)
        # Followers get it without the usage: those who asked get theirs at the end.
        shared = [one.out if one.bare is None else one.bare for one in passed]
        self._sharing.add(self._attempts.held, [event for event in shared if event])
        return b"".join([piece.out for piece in passed])

    def _log_sent(self, out: bytes) -> bytes:
        """Record what is about to be sent."""
        self._record()
        if self._sent is not None:
            self._sent.add(out)
        self._recording.add(out)
        return out

    def _record(self, *, complete: bool = False) -> None:
        """Raises JournalFull."""
        reader = self._stream.reader
        self._journal.record(
            self._attempts.held.call.id,
            self._attempts.route,
            tokens.estimate_delivered(reader.size, reader.pieces),
            complete=complete,
        )

    async def _pieces(self) -> list[Piece] | None:
        """The stream's next events; None at its end. Raises Failed."""
        if not self._started:
            return self._stream.backlog
        now = time.monotonic()
        self._note_health(now)
        self._client_was_slow = (
            self._client_was_slow or now - self._read_at > SLOW_CLIENT_S
        )
        if self._stop_code:
            raise stream_error.stop_failure()
        due, deadline = now + self._between_s, self._attempts.deadline
        self._due = deadline if deadline < due else due
        if self._due <= now:
            # The time passed while the client was reading: not the provider's fault.
            self._stop_code = LATE
            raise stream_error.stop_failure()
        if self._timer is None:
            self._start_timer()
        try:
            return await self._stream.more()
        finally:
            self._due = NEVER
            self._read_at = time.monotonic()

    def _handle_late(self) -> None:
        if self._due >= self._attempts.deadline:
            # Tokens came, but the whole answer took too long.
            self._stop_code = LATE
        self._stream.stop(stream_error.stall_failure())

    def _note_health(self, now: float) -> None:
        if self._probing and now - self._started_at > HEALTHY_S:
            self._probing = False
            self._outcomes.report_success(self._stream.candidate, self._stream.permit)

    async def _finish(self) -> bytes:
        failpoints.hit("after_last_token")
        stream = self._stream
        with suppress(JournalFull):
            # All was sent: a disk that is full now does not change the bill.
            self._record(complete=True)
        if not stream.permit.probe or self._probing:
            await self._outcomes.report_answer(
                stream.candidate, stream.permit, filtered=stream.reader.filtered
            )
        outcome, ending = self._outcome("ok"), stream.reader.ending()
        entry = self._recording.entry(outcome, ending)
        natural = entry is not None and self._recording.natural
        self._sharing.complete(self._attempts.held, entry, store=natural)
        usage = stream.reader.unsent_usage(usage_of(outcome.tokens))
        return await self._end(outcome, usage + ending)

    async def _break_off(self) -> bytes:
        """End with an in-band error, as after content there is no failover."""
        stream, outcomes, attempts = self._stream, self._outcomes, self._attempts
        late = self._stop_code == LATE
        self._failure.blame(attempts.experiment(timed_out=late))
        if self._failure.injected_by:
            # Even if the process dies now, what was delivered is not billed.
            self._journal.withdraw(attempts.held.call.id)
        self._sharing.fail(attempts.held)
        # A stream that we end, or that was not read, says nothing about its provider.
        unread = self._client_was_slow and self._failure.error is None
        if self._stop_code or unread:
            await outcomes.report(stream.candidate, stream.permit, Event.RELEASED)
        else:
            await outcomes.report_failure(
                stream.candidate, stream.permit, self._failure
            )
        error = self._error()
        outcome = self._outcome("interrupted", str(error["code"]))
        if self._failure.injected_by:
            add_failure(attempts, stream.candidate, self._failure, cost_of(outcome))
            self._record_failures(attempts)
            outcome = injected_outcome(outcome)
        return await self._end(outcome, stream_error.event(stream, error))

    async def _end(self, outcome: RequestOutcome, ending: bytes) -> bytes:
        """Settle, and return the last part: the cost, and how the stream ended."""
        priced = with_cost(ending, cost_of(outcome))
        summary = await self._settle(outcome, priced)
        return with_cost(ending, summary.cost)

    def _error(self) -> dict[str, str | None]:
        return stream_error.describe(
            self._attempts.held.call.id, self._stop_code, self._failure
        )

    async def _close(self) -> None:
        """Close the stream, and settle it if the client left early."""
        self._stop_timer()
        if not self._settled:
            self._sharing.fail(self._attempts.held)
            if self._probing:
                await self._outcomes.report(
                    self._stream.candidate, self._stream.permit, Event.RELEASED
                )
            gone = self._outcome("client_gone", "client_gone")
            begun = self._sent is not None and self._sent.size > 0
            rest = self._stream.reader.error_event(self._error()) if begun else b""
            await self._settle(gone, rest, wait=False)
        self._stream.close()

    def _outcome(self, status: str, error_code: str = "") -> RequestOutcome:
        reader, held = self._stream.reader, self._attempts.held
        return RequestOutcome(
            status=status,
            candidate=self._stream.candidate,
            tokens=count_tokens(held, reader.usage, reader.size, reader.pieces),
            error_code=error_code,
            ttft_ms=self._ttft_ms,
        )

    async def _settle(
        self, outcome: RequestOutcome, ending: bytes, *, wait: bool = True
    ) -> Summary:
        self._settled = True
        answer = None
        if self._sent is not None and not outcome.refund:
            answer = self._sent.answer(self._headers, ending)
        return await self._settlement.settle(self._attempts, outcome, answer, wait=wait)
