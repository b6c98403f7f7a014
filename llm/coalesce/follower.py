"""Answers requests that follow the upstream call of another one."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace

from billing.ledger import Stored
from llm.cache.entry import Entry, Form
from llm.coalesce.resume import CannotResume, StreamResumption, error_event
from llm.replies import headers, stored
from llm.settlement.outcome import RequestOutcome, cancelled_outcome, refund_outcome
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

Answer = Reply | StreamReply
# A request that lost so many leaders calls a provider itself: if a budget refuses one
# after the other, each would start all the rest again.
MOST_LEADERS = 3


class LeaderLost(Exception):
    """The followed call has no answer to share: the follower must call a provider."""


class FollowedStream:
    """The parts of a stream that another request leads.

    If the leader is lost, it ends early with `lost` set: `resume_with` another answer.
    """

    def __init__(
        self, settlement: Settlement, following: FollowingCall, sent: dict[str, str]
    ) -> None:
        self.held, self.shared_call = following.held, following.shared_call
        self.headers = sent
        self.deadline = self.held.call.started + self.held.plan.longest_s
        self.lost = False
        self.passed: list[bytes] = []
        self._settlement = settlement
        self._ended = False

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield what the leader's client gets, and settle at the end."""
        try:
            async for events in self.shared_call.follow():
                self.passed += events
                yield b"".join(events)
            if (
                self.shared_call.state is SharedCallState.COMPLETE
                and self.shared_call.entry is not None
            ):
                yield await self._finish(self.shared_call.entry)
            else:
                self.lost = self._ended = True
        finally:
            await self.leave()

    async def leave(self) -> None:
        """Settle a stream whose client left early: it costs its unit, but no money."""
        if self._ended:
            return
        self._ended = True
        self.shared_call.leave()
        outcome = cancelled_outcome(client_left=True)
        await self._settlement.settle(Attempts(self.held), outcome, wait=False)

    async def resume_with(self, reply: Answer) -> AsyncGenerator[bytes, None]:
        """Yield the parts of `reply` that come after what was passed on."""
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
        """The error event: the stream cannot go on."""
        call = self.held.call
        return error_event(str(call.id), code, self.passed, endpoint=call.endpoint)

    async def _parts_of(self, reply: Answer) -> AsyncIterator[bytes]:
        if isinstance(reply, Reply):
            yield reply.body
            return
        self.deadline = reply.parts.deadline
        async for part in reply.parts:
            yield part

    async def _finish(self, entry: Entry) -> bytes:
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
        await self._settlement.settle(Attempts(held), _shared(entry), answer=answer)
        return ending


class Followers:
    """Answers followers. One per process."""

    def __init__(self, settlement: Settlement) -> None:
        self._settlement = settlement

    async def answer(self, following: FollowingCall) -> Reply | FollowedStream:
        """The shared answer, whole or as a stream.

        Raises LeaderLost, and GatewayError with the leader's error.
        """
        held, shared = following.held, following.shared_call
        streamed = held.plan.shape.stream
        shared.join()
        try:
            # The status line must wait until the outcome is known.
            await (shared.wait_for_start() if streamed else shared.wait_for_end())
        except BaseException as error:
            shared.leave()
            await self._settle_cancelled(held, error)
            raise
        entry = shared.entry
        other = Form.WHOLE if streamed else Form.STREAM
        if streamed and (shared.events or (entry and entry.form is not other)):
            return FollowedStream(self._settlement, following, _headers(held, entry))
        shared.leave()
        if streamed or entry is None or entry.form is other:
            if shared.error is None:
                raise LeaderLost
            failure = shared.error.copy()
            await self._settlement.settle(Attempts(held), refund_outcome(failure))
            raise failure
        return await self._whole(held, entry)

    async def _whole(self, held: AdmittedCall, entry: Entry) -> Reply:
        sent = _headers(held, entry)
        sent["Content-Type"] = stored.JSON
        sent["x-valuecanvas-cost-usd"] = "0.000000"
        answer = Stored(200, sent, entry.body) if held.claim else None
        summary = await self._settlement.settle(
            Attempts(held), _shared(entry), answer=answer
        )
        return Reply(200, sent, entry.body, summary)

    async def _settle_cancelled(self, held: AdmittedCall, error: BaseException) -> None:
        """Settle a request that was cancelled before anything was delivered."""
        outcome = cancelled_outcome(client_left=CLIENT_GONE in error.args)
        await self._settlement.settle(Attempts(held), outcome, wait=False)


class FollowedParts:
    """The `parts` of a followed stream, as its client gets them."""

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

    async def wait_until_unwanted(self) -> None:
        """Return at once: nobody follows a follower."""

    async def aclose(self) -> None:
        await self._parts.aclose()
        await self._followed.leave()


def call_again(call: Call, shared_call: SharedCall) -> Call:
    """The call of a follower that starts again; without sharing if that is in vain."""
    if shared_call.state is SharedCallState.LOST and call.leaders_lost < MOST_LEADERS:
        return replace(call, leaders_lost=call.leaders_lost + 1, restarted=True)
    directives = replace(call.directives, read=False)
    return replace(call, directives=directives, restarted=True)


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
