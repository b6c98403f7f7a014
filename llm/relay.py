"""Routes in order until one delivers: failover, retries, deadlines, breakers."""

import asyncio
import datetime as dt
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp
import orjson
from django.conf import settings

from llm import dialects, upstream
from llm.breaker.board import Board
from llm.breaker.types import Event, Name, Pass, Rejected
from llm.cache.assembly import Assembly
from llm.client_errors import passed_through
from llm.dialects.base import Dialect, Malformed, Piece, Sort, StreamReader, Whole
from llm.journal import Journal
from llm.metrics import ATTEMPTS
from llm.providers.base import Verdict, error_of
from llm.sse import Splitter, TooLarge
from llm.types import Candidate, Failure, Held
from llm.upstream import Failed
from valuecanvas.core.errors import (
    GatewayError,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)

T = TypeVar("T")
RETRY_MS = (50, 150)
BURST_S = 0.002
LINGER_S = 0.001
EVENTS = {
    Verdict.FAILURE: Event.FAILURE,
    Verdict.AUTH: Event.AUTH,
    Verdict.BILLING: Event.BILLING,
    Verdict.THROTTLED: Event.THROTTLED,
    # The provider works: the caller's request was at fault.
    Verdict.CLIENT: Event.OK,
}


@dataclass(slots=True)
class Journey:
    """What happened to one request upstream, whatever became of it."""

    held: Held
    deadline: float
    failures: list[Failure] = field(default_factory=list)
    attempts: int = 0
    # Number of the candidate that is or was being tried.
    route: int = 0
    timed_out: bool = False
    soonest_ms: int | None = None

    def back_in(self, wait_ms: int) -> None:
        """Note that one of the routes may be asked again after `wait_ms`."""
        self.soonest_ms = min(wait_ms, self.soonest_ms or wait_ms)


@dataclass(slots=True)
class Retries:
    """Same-provider retries under way: at most a fifth of the active requests."""

    active: int = 0
    running: int = 0

    def allowed(self) -> bool:
        return self.running < max(3, self.active // 5)


@dataclass(slots=True)
class Delivery:
    """A whole answer and where it came from."""

    candidate: Candidate
    whole: Whole


@dataclass(slots=True)
class Flow:
    """A stream that has begun: what is to be sent first, and the rest."""

    candidate: Candidate
    reader: StreamReader
    leave: Pass
    first: list[bytes]
    events: AsyncIterator[list[Piece]]
    backlog: list[Piece]
    stack: AsyncExitStack


class Relay:
    """Sends admitted requests upstream."""

    def __init__(
        self, pool: aiohttp.ClientSession, board: Board, journal: Journal
    ) -> None:
        self._pool = pool
        self._board = board
        self._journal = journal
        self.retries = Retries()

    async def whole(self, journey: Journey) -> Delivery:
        """The first whole answer that a route gives. Raises GatewayError."""

        async def once(candidate: Candidate, leave: Pass) -> Delivery:
            delivery = await self._whole_once(journey, candidate)
            self.succeeded(candidate, leave)
            return delivery

        return await self._first(journey, once)

    async def flow(self, journey: Journey) -> Flow:
        """The first stream that reaches content. Raises GatewayError."""

        async def once(candidate: Candidate, leave: Pass) -> Flow:
            return await self._flow_once(journey, candidate, leave)

        return await self._first(journey, once)

    def succeeded(self, candidate: Candidate, leave: Pass) -> None:
        """Tell the breaker that the call was good."""
        if not candidate.forced:
            self._board.ok(_name(candidate), leave)

    async def failed(
        self, candidate: Candidate, leave: Pass, event: Event, wait_s: float = 0.0
    ) -> None:
        """Tell the breaker how the call ended."""
        if not candidate.forced:
            await self._board.tell(_name(candidate), leave, event, wait_s)

    async def _first(
        self, journey: Journey, once: Callable[[Candidate, Pass], Awaitable[T]]
    ) -> T:
        for route, candidate in enumerate(journey.held.plan.candidates):
            journey.route = route
            if not self._may_start(journey):
                break
            leave = await self._leave(journey, candidate)
            if leave is None:
                continue
            try:
                return await self._with_retry(journey, candidate, leave, once)
            except Failed as failure:
                if failure.verdict is Verdict.CLIENT:
                    raise passed_through(failure) from failure
        raise _exhausted(journey)

    def _may_start(self, journey: Journey) -> bool:
        left = journey.deadline - time.monotonic()
        least = journey.held.plan.model.first_token_s
        first = journey.attempts == 0
        return first or (journey.attempts < settings.LLM_MAX_ATTEMPTS and left >= least)

    async def _leave(self, journey: Journey, candidate: Candidate) -> Pass | None:
        if candidate.forced == "forced_open":
            return None
        if candidate.forced == "forced_closed":
            return Pass(-1)
        lease = journey.deadline - time.monotonic() + 5
        answer = await self._board.acquire(_name(candidate), lease)
        if isinstance(answer, Rejected):
            journey.back_in(answer.retry_ms)
            return None
        return answer

    async def _with_retry(
        self,
        journey: Journey,
        candidate: Candidate,
        leave: Pass,
        once: Callable[[Candidate, Pass], Awaitable[T]],
    ) -> T:
        """One attempt; a second at the same provider only if nothing was sent."""
        try:
            return await self._attempt(journey, candidate, leave, once)
        except Failed as failure:
            retry = (
                failure.unsent
                and not leave.probe
                and self.retries.allowed()
                and self._may_start(journey)
            )
            await self._tell(candidate, leave, failure)
            if not retry:
                raise
        self.retries.running += 1
        try:
            # Full jitter; nothing secret.
            await asyncio.sleep(random.uniform(*RETRY_MS) / 1000)  # noqa: S311
            return await self._attempt(journey, candidate, leave, once)
        except Failed as failure:
            await self._tell(candidate, leave, failure)
            raise
        finally:
            self.retries.running -= 1

    async def _tell(self, candidate: Candidate, leave: Pass, failure: Failed) -> None:
        await self.failed(
            candidate, leave, EVENTS[failure.verdict], failure.retry_after_s
        )

    async def _attempt(
        self,
        journey: Journey,
        candidate: Candidate,
        leave: Pass,
        once: Callable[[Candidate, Pass], Awaitable[T]],
    ) -> T:
        journey.attempts += 1
        began = time.monotonic()
        try:
            self._journal.record(journey.held.call.id, journey.route, 0)
            return await once(candidate, leave)
        except Failed as failure:
            ATTEMPTS.labels(candidate.provider.key, failure.verdict.value).inc()
            journey.timed_out = failure.timeout
            if failure.verdict is Verdict.THROTTLED:
                journey.back_in(int(failure.retry_after_s * 1000))
            journey.failures.append(_failure(candidate, failure, began))
            raise
        except BaseException:
            # Cancelled: a probe's slot must not stay taken.
            if leave.probe:
                await asyncio.shield(self.failed(candidate, leave, Event.RELEASED))
            raise

    async def _whole_once(self, journey: Journey, candidate: Candidate) -> Delivery:
        held = journey.held
        dialect = dialects.choose(held.call.endpoint, candidate)
        left = journey.deadline - time.monotonic()
        try:
            async with asyncio.timeout(left):
                async with self._post(journey, candidate, dialect, None) as response:
                    raw = await upstream.read_whole(
                        response, settings.LLM_MAX_REPLY_BYTES
                    )
        except TimeoutError as error:
            raise Failed(
                Verdict.FAILURE, "The provider's reply took too long.", timeout=True
            ) from error
        return Delivery(candidate, _read(dialect, held, candidate, raw))

    def _post(
        self,
        journey: Journey,
        candidate: Candidate,
        dialect: Dialect,
        within_s: float | None,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        held = journey.held
        return upstream.post(
            self._pool,
            candidate,
            dialect.path,
            orjson.dumps(dialect.body(held, candidate)),
            attempt_id=f"{held.call.id}.{journey.attempts}",
            answer_within_s=within_s,
        )

    async def _flow_once(
        self, journey: Journey, candidate: Candidate, leave: Pass
    ) -> Flow:
        """Open a stream and read up to its first content."""
        held = journey.held
        dialect = dialects.choose(held.call.endpoint, candidate)
        within = min(held.plan.model.first_token_s, journey.deadline - time.monotonic())
        stack = AsyncExitStack()
        try:
            async with asyncio.timeout(within):
                response = await stack.enter_async_context(
                    self._post(journey, candidate, dialect, within)
                )
                reader = dialect.reader(held)
                if held.place is not None:
                    reader.assembly = Assembly()
                events = pieces_of(response, reader)
                flow = Flow(candidate, reader, leave, [], events, [], stack)
                await _to_first_content(flow)
        except TimeoutError as error:
            await stack.aclose()
            raise Failed(
                Verdict.FAILURE, "The provider sent no token in time.", timeout=True
            ) from error
        except BaseException:
            await stack.aclose()
            raise
        return flow


async def _to_first_content(flow: Flow) -> None:
    """Fill `flow.first` with all up to the first content. Raises Failed."""
    async for pieces in flow.events:
        for index, piece in enumerate(pieces):
            if piece.sort is Sort.ERROR:
                raise _in_band(flow.candidate, piece.error or {})
            if piece.sort is Sort.CONTENT or flow.reader.finished:
                flow.backlog = pieces[index:]
                return
            if piece.sort is Sort.DONE:
                raise Failed(Verdict.FAILURE, "The provider's stream is empty.", 200)
            if piece.sort is not Sort.DROP:
                flow.first.append(piece.out)
    raise Failed(Verdict.FAILURE, "The provider's stream ended early.", 200)


async def pieces_of(
    response: aiohttp.ClientResponse, reader: StreamReader
) -> AsyncIterator[list[Piece]]:
    """The stream's events, as many at a time as came. Raises Failed."""
    splitter = Splitter()
    try:
        async for data in _bursts(response.content):
            pieces: list[Piece] = []
            try:
                for raw, payload in splitter.feed(data):
                    pieces.append(reader.read(raw, payload))
            except (Malformed, TooLarge) as error:
                if pieces:
                    # What came before it was counted: it must not be lost.
                    yield pieces
                raise Failed(
                    Verdict.FAILURE, "The provider's stream is malformed.", 200
                ) from error
            yield pieces
    except (aiohttp.ClientError, OSError) as error:
        raise Failed(
            Verdict.FAILURE, "The provider's stream broke off.", 200
        ) from error


async def _bursts(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The body as it comes; but what comes in a burst is passed on together.

    A model's tokens are tens of milliseconds apart and are never held back. Only where
    less than BURST_S has passed since the last read, the next millisecond is waited for:
    sending each chunk by itself costs more than all the rest.
    """
    last = 0.0
    async for data in content.iter_any():
        if time.monotonic() - last < BURST_S:
            await asyncio.sleep(LINGER_S)
            if content.exception() is None:
                data += content.read_nowait()
        last = time.monotonic()
        yield data


def _in_band(candidate: Candidate, error: dict[str, object]) -> Failed:
    """The failure that an error event inside a stream stands for."""
    error = error_of({"error": error})
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code <= 599 else 500
    verdict = candidate.provider.kind.classify(status, error)
    return Failed(verdict, "The provider sent an error in its stream.", status, error)


def _read(dialect: Dialect, held: Held, candidate: Candidate, raw: bytes) -> Whole:
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Failed(
            Verdict.FAILURE, "The provider's reply is not JSON.", 200
        ) from error
    if isinstance(parsed, dict) and parsed.get("error"):
        raise _in_band(candidate, parsed["error"])
    try:
        if not isinstance(parsed, dict):
            raise Malformed("The reply is not an object.")
        return dialect.whole(held, parsed, raw)
    except Malformed as error:
        raise Failed(Verdict.FAILURE, str(error), 200) from error


def _failure(candidate: Candidate, failure: Failed, began: float) -> Failure:
    return Failure(
        candidate.provider.key,
        candidate.upstream_model,
        failure.verdict.value,
        failure.status,
        failure.message,
        int((time.monotonic() - began) * 1000),
        dt.datetime.now(dt.UTC),
    )


def _name(candidate: Candidate) -> Name:
    return Name(candidate.provider.key, candidate.upstream_model)


def _exhausted(journey: Journey) -> GatewayError:
    """What the caller gets when no route delivered."""
    wait = max(1, -(-(journey.soonest_ms or 1000) // 1000))
    if not journey.failures:
        return Unavailable(
            "Every provider of this model is unavailable now; try again shortly.",
            code="no_provider_available",
            headers={"Retry-After": str(wait)},
        )
    if all(one.verdict == Verdict.THROTTLED for one in journey.failures):
        return Unavailable(
            "Every provider of this model asks us to slow down; try again shortly.",
            code="providers_throttled",
            headers={"Retry-After": str(wait)},
        )
    if journey.timed_out:
        return UpstreamTimeout("No provider of this model answered in time.")
    return UpstreamError("No provider of this model could answer.")
