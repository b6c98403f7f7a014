"""Answers for requests that follow another one's upstream call."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace

from billing.ledger import Stored
from llm.cache.entry import Entry, Form
from llm.coalesce.resume import CannotResume, StreamResumption, error_event
from llm.replies import headers, stored
from llm.settlement.outcome import RequestOutcome, refund_outcome
from llm.settlement.settlement import Settlement
from llm.shared_call import SharedCall, SharedCallState
from llm.types import (
    CLIENT_GONE,
    AdmittedCall,
    Call,
    FollowingCall,
    Reply,
    StreamReply,
)
from llm.upstream.attempts import Attempts
from valuecanvas.core.errors import Unavailable

Answer = Reply | StreamReply
# Whoever lost so many leaders asks alone: where a budget refuses one after the other,
# each would start all the rest anew.
MOST_LEADERS = 3


class LeaderLost(Exception):
    """The followed call has no answer to share: the follower must ask by itself."""


class FollowedStream:
    """The parts of a stream that another request leads.

    It ends early with `lost` set where the leader is lost: `go_on` with another answer.
    """

    def __init__(
        self, settler: Settlement, following: FollowingCall, sent: dict[str, str]
    ) -> None:
        self.held, self.flight = following.held, following.flight
        self.headers = sent
        self.deadline = self.held.call.started + self.held.plan.longest_s
        self.lost = False
        self.passed: list[bytes] = []
        self._settler = settler
        self._ended = False

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """What the leader's client gets, and settle at its end."""
        try:
            async for events in self.flight.follow():
                self.passed += events
                yield b"".join(events)
            if (
                self.flight.state is SharedCallState.LANDED
                and self.flight.entry is not None
            ):
                yield await self._finished(self.flight.entry)
            else:
                self.lost = self._ended = True
        finally:
            await self.leave()

    async def leave(self) -> None:
        """If it has not ended, the client left: it costs nothing, and keeps its unit."""
        if self._ended:
            return
        self._ended = True
        self.flight.leave()
        outcome = RequestOutcome(CLIENT_GONE, error_code=CLIENT_GONE)
        await self._settler.settle(_journey(self.held), outcome, wait=False)

    async def go_on(self, reply: Answer) -> AsyncGenerator[bytes, None]:
        """The parts of `reply` that come after what was passed on."""
        try:
            if self.passed and self.held.call.endpoint == "responses":
                # Its events are numbered, and carry ids of the first answer.
                raise CannotResume
            resume = StreamResumption(self.passed)
            async for part in self._parts_of(reply):
                if out := resume.feed(part):
                    yield out
            resume.end()
        except CannotResume:
            yield self.error()
        finally:
            if isinstance(reply, StreamReply):
                await reply.parts.aclose()

    def error(self, code: str | None = None) -> bytes:
        """The event that says that the stream cannot go on."""
        call = self.held.call
        return error_event(str(call.id), code, self.passed, endpoint=call.endpoint)

    async def _parts_of(self, reply: Answer) -> AsyncIterator[bytes]:
        if isinstance(reply, Reply):
            yield reply.body
            return
        self.deadline = reply.parts.deadline
        async for part in reply.parts:
            yield part

    async def _finished(self, entry: Entry) -> bytes:
        """The end, as the leader got it, with the usage if it was asked for."""
        held, passed = self.held, b"".join(self.passed)
        events = stored.events_of(held.call, held.plan, entry)
        if held.call.endpoint == "responses":
            ending = stored.with_cost(entry.body.removeprefix(passed), 0)
        elif passed:
            # The rest is the usage, if it was asked for, and the end.
            ending = b"".join(events[-2 if held.plan.shape.include_usage else -1 :])
        else:
            ending = b"".join(events)
        answer = None
        if held.claim is not None:
            answer = Stored(200, {**stored.EVENTS, **self.headers}, passed + ending)
        self._ended = True
        await self._settler.settle(_journey(held), _shared(entry), answer=answer)
        return ending


class Followers:
    """Answers followers. One per process."""

    def __init__(self, settler: Settlement) -> None:
        self._settler = settler

    async def answer(self, following: FollowingCall) -> Reply | FollowedStream:
        """The shared answer, whole or as a stream.

        Raises LeaderLost, and GatewayError: what the leader was told.
        """
        held, flight = following.held, following.flight
        streamed = held.plan.shape.stream
        flight.join()
        try:
            # The status line must wait until there is something to say.
            await (flight.begun() if streamed else flight.ended())
        except BaseException as error:
            flight.leave()
            await self._left(held, error)
            raise
        entry = flight.entry
        other = Form.WHOLE if streamed else Form.STREAM
        if streamed and (flight.events or (entry and entry.form is not other)):
            return FollowedStream(self._settler, following, _headers(held, entry))
        flight.leave()
        if streamed or entry is None or entry.form is other:
            if flight.error is None:
                raise LeaderLost
            told = flight.error.copy()
            await self._settler.settle(_journey(held), refund_outcome(told))
            raise told
        return await self._whole(held, entry)

    async def _whole(self, held: AdmittedCall, entry: Entry) -> Reply:
        sent = _headers(held, entry)
        sent["Content-Type"] = stored.JSON
        sent["x-valuecanvas-cost-usd"] = "0.000000"
        answer = Stored(200, sent, entry.body) if held.claim else None
        summary = await self._settler.settle(
            _journey(held), _shared(entry), answer=answer
        )
        return Reply(200, sent, entry.body, summary)

    async def _left(self, held: AdmittedCall, error: BaseException) -> None:
        """Cancelled while it waited: nothing was delivered."""
        outcome = refund_outcome(
            Unavailable("The request was abandoned.", code="abandoned")
        )
        if CLIENT_GONE in error.args:
            outcome = RequestOutcome(CLIENT_GONE, error_code=CLIENT_GONE)
        await self._settler.settle(_journey(held), outcome, wait=False)


class FollowedParts:
    """The `parts` that a client gets of a followed stream."""

    over = False

    def __init__(
        self, followed: FollowedStream, parts: AsyncGenerator[bytes, None]
    ) -> None:
        self._followed = followed
        self._parts = parts

    @property
    def deadline(self) -> float:
        """When the answer must have been delivered, by the monotonic clock."""
        return self._followed.deadline

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._parts)

    async def unwanted(self) -> None:
        """Nobody follows a follower."""

    async def aclose(self) -> None:
        await self._parts.aclose()
        await self._followed.leave()


def call_again(call: Call, flight: SharedCall) -> Call:
    """The call as its follower makes it after all; alone, where sharing is in vain."""
    if flight.state is SharedCallState.LOST and call.leaders_lost < MOST_LEADERS:
        return replace(call, leaders_lost=call.leaders_lost + 1)
    return replace(call, directives=replace(call.directives, read=False))


def _journey(held: AdmittedCall) -> Attempts:
    return Attempts(held)


def _shared(entry: Entry) -> RequestOutcome:
    return RequestOutcome("ok", tokens=stored.tokens_of(entry), shared=entry)


def _headers(held: AdmittedCall, entry: Entry | None) -> dict[str, str]:
    sent = {
        **headers.quota_headers(held.admitted),
        "x-valuecanvas-epoch": str(held.plan.epoch),
        "x-valuecanvas-cache": "coalesced",
        **headers.plan_headers(held.plan),
    }
    if entry is not None:
        sent["x-valuecanvas-provider"] = entry.provider
        sent["Age"] = str(max(0, int(time.time() - entry.at)))
    return sent
