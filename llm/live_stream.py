"""A stream under way: relays events, notices how it ends, and settles it once."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Protocol

from django.conf import settings

from billing.ledger import Stored
from llm.breaker.types import Event
from llm.cache.recording import Recording
from llm.coalesce.sharing import AnswerSharing
from llm.dialects.base import Piece, Sort
from llm.journal.journal import Journal, JournalFull
from llm.metering import tokens
from llm.replies.stored import EVENTS, usage_of, with_cost
from llm.settlement.outcome import RequestOutcome, cost_of
from llm.settlement.token_count import count_tokens
from llm.types import Summary
from llm.upstream import http, stream_error
from llm.upstream.attempts import Attempts
from llm.upstream.http import Failed
from llm.upstream.outcomes import BreakerReports
from llm.upstream.stream import UpstreamStream
from valuecanvas.core import failpoints

# A probe has succeeded after this many seconds of tokens, before its stream ends.
HEALTHY_S = 5.0
_NEVER = math.inf


class SettleFunction(Protocol):
    """Ends a reservation, as Settler.settle does."""

    def __call__(
        self,
        attempts: Attempts,
        outcome: RequestOutcome,
        answer: Stored | None = None,
        *,
        wait: bool = True,
    ) -> Awaitable[Summary]: ...


class LiveStream:
    """The parts of a streamed answer. `aclose` before the end: the client has gone."""

    def __init__(
        self,
        *,
        journal: Journal,
        outcomes: BreakerReports,
        sharing: AnswerSharing,
        settle: SettleFunction,
        journey: Attempts,
        flow: UpstreamStream,
        headers: dict[str, str],
    ) -> None:
        self._journal = journal
        self._outcomes = outcomes
        self._sharing = sharing
        self._settle_with = settle
        self._journey = journey
        self._flow = flow
        self._headers = headers
        # All that was passed on, where an idempotency key asks for it again.
        self._sent: list[bytes] | None = [] if journey.held.claim else None
        self._sent_bytes = 0
        self._recording = Recording(journey.held, flow.reader)
        self._began = time.monotonic()
        self._ttft_ms = int((self._began - journey.held.call.started) * 1000)
        self._probing = flow.leave.probe
        self._settled = False
        # Set with the last part: what follows it is the end of the answer.
        self.over = False
        self._begun = False
        # The event that ended the provider's stream, once one has.
        self._last: Sort | None = None
        # How the provider's stream failed, if it has.
        self._failure = stream_error.broken_off()
        # When the last part was read, and whether the client ever took long to want more:
        # a provider whose bytes nobody takes may give up.
        self._read_at = self._began
        self._kept_waiting = False
        # Why the stream is to end now, if it is.
        self._stopping = ""
        # When the wait for the provider has lasted too long; _NEVER: none is on. One
        # timer looks after all the waits of a stream: it is seldom moved.
        self._due = _NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._between_s = journey.held.plan.model.between_tokens_s

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.over:
            await self._gone()
            raise StopAsyncIteration
        try:
            return await self._part()
        except BaseException:
            await self._gone()
            raise

    @property
    def deadline(self) -> float:
        """When the answer must have been delivered, by the monotonic clock."""
        return self._journey.deadline

    async def unwanted(self) -> None:
        """The client has gone: return once nobody else wants the rest."""
        flight = self._journey.held.flight
        if flight is not None:
            await flight.unfollowed()

    def interrupt(self, code: str) -> None:
        """End the stream soon, with an in-band error of this code."""
        self._stopping = code
        if self._due != _NEVER:
            self._flow.stop(stream_error.stop_failure())

    async def aclose(self) -> None:
        """End the stream, wherever it is: what was delivered is billed."""
        self.over = True
        await self._gone()

    async def _part(self) -> bytes:
        """What is to be sent next; the last time it is the end of the stream."""
        try:
            while self._last is None:
                pieces = await self._pieces()
                if pieces is None:
                    finished = self._flow.reader.finished
                    self._last = Sort.DONE if finished else Sort.ERROR
                elif out := self._taken(pieces):
                    return self._passed(out)
        except Failed as failure:
            # Without its frames: they hold this stream.
            self._failure = failure.with_traceback(None)
            self._last = Sort.ERROR
        except JournalFull as error:
            # What is not on record may not be passed on.
            self._stopping = str(error.code)
            self._last = Sort.ERROR
        done = self._last is Sort.DONE
        ending = await (self._finished() if done else self._interrupted())
        self.over = True
        return ending

    def _taken(self, pieces: list[Piece]) -> bytes:
        """What to send of `pieces`; it is shared with those who follow."""
        passed: list[Piece] = []
        if not self._begun:
            self._begun = True
            passed += self._flow.first
        for piece in pieces:
            if piece.sort is Sort.DONE or piece.sort is Sort.ERROR:
                self._last = piece.sort
                self._note_error(piece)
                break
            if piece.sort is not Sort.DROP:
                passed.append(piece)
        # Who follows gets it without the usage: who asked gets that at the end.
        shared = [one.out if one.bare is None else one.bare for one in passed]
        self._sharing.add(self._journey.held, [event for event in shared if event])
        return b"".join([piece.out for piece in passed])

    def _note_error(self, piece: Piece) -> None:
        if piece.sort is Sort.ERROR:
            self._failure = http.in_band(self._flow.candidate, piece.error)

    def _passed(self, out: bytes) -> bytes:
        """Note what is about to be passed on, before it is."""
        self._record()
        if (
            self._sent is not None
            and self._sent_bytes <= settings.LLM_IDEMPOTENCY_MAX_BYTES
        ):
            # Past that it is not kept: see Settler.
            self._sent.append(out)
            self._sent_bytes += len(out)
        self._recording.add(out)
        return out

    def _record(self, *, complete: bool = False) -> None:
        """Raises JournalFull."""
        reader = self._flow.reader
        self._journal.record(
            self._journey.held.call.id,
            self._journey.route,
            tokens.estimate_delivered(reader.size, reader.pieces),
            complete=complete,
        )

    async def _pieces(self) -> list[Piece] | None:
        """The stream's next events; None at its end. Raises Failed."""
        if not self._begun:
            return self._flow.backlog
        now = time.monotonic()
        self._note_health(now)
        self._kept_waiting = self._kept_waiting or now - self._read_at > HEALTHY_S
        if self._stopping:
            raise stream_error.stop_failure()
        due, deadline = now + self._between_s, self._journey.deadline
        self._due = deadline if deadline < due else due
        if self._due <= now:
            # It went by while the client was reading: the provider is not to blame.
            self._stopping = "stream_interrupted"
            raise stream_error.stop_failure()
        if self._timer is None:
            self._look_again()
        try:
            return await self._flow.more()
        finally:
            self._due = _NEVER
            self._read_at = time.monotonic()

    def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._due - time.monotonic(), self._look)

    def _look(self) -> None:
        """Has the wait that is on now lasted too long? It may have begun since."""
        self._timer = None
        if self._due <= time.monotonic():
            if self._due >= self._journey.deadline:
                # Its tokens came: the whole answer was too long for the time it may take.
                self._stopping = "stream_interrupted"
            self._flow.stop(stream_error.stall_failure())
        elif self._due != _NEVER:
            self._look_again()

    def _note_health(self, now: float) -> None:
        if self._probing and now - self._began > HEALTHY_S:
            self._probing = False
            self._outcomes.succeeded(self._flow.candidate, self._flow.leave)

    async def _finished(self) -> bytes:
        failpoints.hit("after_last_token")
        flow = self._flow
        with suppress(JournalFull):
            # It was all passed on: a disk that is full now changes nothing of the bill.
            self._record(complete=True)
        if not flow.leave.probe or self._probing:
            await self._outcomes.ended(
                flow.candidate, flow.leave, filtered=flow.reader.filtered
            )
        outcome, ending = self._outcome("ok"), flow.reader.ending()
        entry = self._recording.entry(outcome, ending)
        natural = entry is not None and self._recording.natural
        self._sharing.complete(self._journey.held, entry, store=natural)
        untold = flow.reader.untold(usage_of(outcome.tokens))
        return await self._end(outcome, untold + ending)

    async def _interrupted(self) -> bytes:
        """After content nothing fails over: say so in the stream, and send no [DONE]."""
        self._sharing.fail(self._journey.held)
        flow, outcomes = self._flow, self._outcomes
        # A stream that we end ourselves, or that nobody read, says nothing of its provider.
        unread = self._kept_waiting and self._failure.error is None
        if self._stopping or unread:
            await outcomes.told(flow.candidate, flow.leave, Event.RELEASED)
        else:
            await outcomes.failed(flow.candidate, flow.leave, self._failure)
        error = self._error()
        return await self._end(
            self._outcome("interrupted", str(error["code"])),
            stream_error.event(flow, error),
        )

    async def _end(self, outcome: RequestOutcome, ending: bytes) -> bytes:
        """Settle, and what the client gets last: the cost, and how it ended."""
        priced = with_cost(ending, cost_of(outcome))
        summary = await self._settle(outcome, priced)
        return with_cost(ending, summary.cost)

    def _error(self) -> dict[str, str | None]:
        return stream_error.describe(
            self._journey.held.call.id, self._stopping, self._failure
        )

    async def _gone(self) -> None:
        """Close the upstream; if nothing was settled yet, the client left early."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._settled:
            self._sharing.fail(self._journey.held)
            if self._probing:
                await self._outcomes.told(
                    self._flow.candidate, self._flow.leave, Event.RELEASED
                )
            gone = self._outcome("client_gone", "client_gone")
            rest = self._flow.reader.failed(self._error()) if self._sent else b""
            await self._settle(gone, rest, wait=False)
        self._flow.close()

    def _outcome(self, status: str, error_code: str = "") -> RequestOutcome:
        reader, held = self._flow.reader, self._journey.held
        return RequestOutcome(
            status=status,
            candidate=self._flow.candidate,
            tokens=count_tokens(held, reader.usage, reader.size, reader.pieces),
            error_code=error_code,
            ttft_ms=self._ttft_ms,
        )

    async def _settle(
        self, outcome: RequestOutcome, ending: bytes, *, wait: bool = True
    ) -> Summary:
        self._settled = True
        answer = None
        if self._sent is not None:
            body = b"".join(self._sent) + ending
            # Of what nobody got a byte, the key is free for another try.
            answer = Stored(200, {**EVENTS, **self._headers}, body) if body else None
        return await self._settle_with(self._journey, outcome, answer, wait=wait)
