"""Answers for requests that follow another one's upstream call."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import replace

from billing.ledger import Stored
from llm import headers, stored
from llm.cache.entry import Entry, Form
from llm.coalesce.flight import Flight, State
from llm.journey import Journey
from llm.resume import CannotResume, Resume, error_event
from llm.settlement import Outcome, Settler, refused
from llm.types import (
    CLIENT_GONE,
    Call,
    Following,
    Held,
    Reply,
    StreamReply,
    Summary,
    Tokens,
)
from valuecanvas.core.errors import GatewayError, Unavailable

Answer = Reply | StreamReply
Run = Callable[[Call], Awaitable[Answer]]
# Whoever lost so many leaders asks alone: where a budget refuses one after the other,
# each would start all the rest anew.
MOST_LEADERS = 3


class Followers:
    """Answers followers. `run` serves a request from the start, if its leader is lost."""

    def __init__(self, settler: Settler, run: Run) -> None:
        self._settler = settler
        self._run = run

    async def answer(self, following: Following) -> Answer:
        """The shared answer, whole or as a stream. Raises GatewayError."""
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
            sent = _headers(held, flight.entry)
            parts = FollowedStream(self._settler, self._run, held, flight, sent)
            return StreamReply(sent, parts)
        flight.leave()
        if streamed or entry is None or entry.form is other:
            return await self._without(held, flight)
        return await self._whole(held, entry)

    async def _whole(self, held: Held, entry: Entry) -> Answer:
        sent = _headers(held, entry)
        sent["Content-Type"] = stored.JSON
        sent["x-valuecanvas-cost-usd"] = "0.000000"
        answer = Stored(200, sent, entry.body) if held.claim else None
        summary = await self._settled(held, entry, answer=answer)
        return Reply(200, sent, entry.body, summary)

    async def _left(self, held: Held, error: BaseException) -> None:
        """Cancelled while it waited: nothing was delivered."""
        outcome = refused(Unavailable("The request was abandoned.", code="abandoned"))
        if CLIENT_GONE in error.args:
            outcome = Outcome(CLIENT_GONE, error_code=CLIENT_GONE)
        journey = Journey(held, held.call.started)
        await self._settler.settle(journey, outcome, wait=False)

    async def _without(self, held: Held, flight: Flight) -> Answer:
        """The leader has no answer: share its error, or start anew."""
        if flight.error is not None:
            error = flight.error.copy()
            journey = Journey(held, held.call.started)
            await self._settler.settle(journey, refused(error))
            raise error
        return await _ask_anew(self._settler, self._run, held, flight)

    async def _settled(
        self, held: Held, entry: Entry, *, answer: Stored | None
    ) -> Summary:
        return await self._settler.settle(
            Journey(held, held.call.started), _shared(entry), answer=answer
        )


def asked_anew(call: Call, flight: Flight) -> Call:
    """The call as its follower makes it after all; alone, where sharing is in vain."""
    if flight.state is State.LOST and call.leaders_lost < MOST_LEADERS:
        return replace(call, leaders_lost=call.leaders_lost + 1)
    return replace(call, directives=replace(call.directives, read=False))


async def _ask_anew(
    settler: Settler, run: Run, held: Held, flight: Flight, *, delivered: int = 0
) -> Answer:
    """Serve a request from the start. Raises GatewayError, and leaves a row then.

    The unit that it holds goes back first: it may have been the last one.
    """
    try:
        await settler.give_back(held)
        return await run(asked_anew(held.call, flight))
    except GatewayError as error:
        tokens = Tokens(completion=delivered, source="gateway")
        settler.note(held, replace(refused(error), tokens=tokens))
        raise


class FollowedStream:
    """The parts of a stream that another request leads."""

    over = False

    def __init__(
        self,
        settler: Settler,
        run: Run,
        held: Held,
        flight: Flight,
        sent: dict[str, str],
    ) -> None:
        self._settler = settler
        self._run_anew = run
        self._held = held
        self.deadline = held.call.started + held.plan.longest_s
        self._flight = flight
        self._headers = sent
        self._passed: list[bytes] = []
        self._ended = False
        self._parts = self._run()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._parts)

    async def unwanted(self) -> None:
        """Nobody follows a follower."""

    async def aclose(self) -> None:
        await self._parts.aclose()
        await self._gone()

    async def _run(self) -> AsyncGenerator[bytes, None]:
        flight = self._flight
        try:
            async for events in flight.follow():
                self._passed += events
                yield b"".join(events)
            if flight.state is State.LANDED and flight.entry is not None:
                yield await self._finished(flight.entry)
                return
            async for part in self._anew():
                yield part
        finally:
            await self._gone()

    async def _finished(self, entry: Entry) -> bytes:
        """The end, as the leader got it, with the usage if it was asked for."""
        held, passed = self._held, b"".join(self._passed)
        events = stored.events_of(held.call, held.plan, entry)
        if held.call.endpoint == "responses":
            ending = stored.with_cost(entry.body.removeprefix(passed), 0)
        elif passed:
            # The rest is the usage, if it was asked for, and the end.
            ending = b"".join(events[-2 if held.plan.shape.include_usage else -1 :])
        else:
            ending = b"".join(events)
        answer = None
        if self._held.claim is not None:
            body = passed + ending
            sent = {**stored.EVENTS, **self._headers}
            answer = Stored(200, sent, body)
        self._ended = True
        journey = Journey(self._held, self._held.call.started)
        await self._settler.settle(journey, _shared(entry), answer=answer)
        return ending

    async def _anew(self) -> AsyncIterator[bytes]:
        """The leader is lost: ask again, and go on where the stream broke off."""
        self._ended = True
        try:
            reply = await _ask_anew(
                self._settler,
                self._run_anew,
                self._held,
                self._flight,
                delivered=len(self._passed),
            )
        except GatewayError as error:
            yield self._error(error.code)
            return
        if not isinstance(reply, StreamReply):
            parts: AsyncIterator[bytes] = _one(reply.body)
        else:
            self.deadline = reply.parts.deadline
            parts = reply.parts.__aiter__()
        try:
            if self._passed and self._held.call.endpoint == "responses":
                # Its events are numbered, and carry ids of the first answer.
                raise CannotResume
            resume = Resume(self._passed)
            async for part in parts:
                out = resume.feed(part)
                if out:
                    yield out
            resume.end()
        except CannotResume:
            yield self._error()
        finally:
            if isinstance(reply, StreamReply):
                await reply.parts.aclose()

    def _error(self, code: str | None = None) -> bytes:
        call = self._held.call
        return error_event(str(call.id), code, self._passed, endpoint=call.endpoint)

    async def _gone(self) -> None:
        """The client left early: its unit of quota stays taken, and it costs nothing."""
        if self._ended:
            return
        self._ended = True
        self._flight.leave()
        outcome = Outcome("client_gone", error_code="client_gone")
        await self._settler.settle(
            Journey(self._held, self._held.call.started), outcome, wait=False
        )


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _shared(entry: Entry) -> Outcome:
    return Outcome("ok", tokens=stored.tokens_of(entry), shared=entry)


def _headers(held: Held, entry: Entry | None) -> dict[str, str]:
    sent = {
        **headers.admitted(held.admitted),
        "x-valuecanvas-epoch": str(held.plan.epoch),
        "x-valuecanvas-cache": "coalesced",
        **headers.planned(held.plan),
    }
    if entry is not None:
        sent["x-valuecanvas-provider"] = entry.provider
        sent["Age"] = str(max(0, int(time.time() - entry.at)))
    return sent
