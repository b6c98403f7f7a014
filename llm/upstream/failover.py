"""Routes in order until one delivers: failover, retries, deadlines, breakers."""

import asyncio
import datetime as dt
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import orjson
from django.conf import settings

from llm import dialects
from llm.breaker.board import Board
from llm.breaker.types import Event, Pass, Rejected
from llm.cache.assembly import Assembly
from llm.dialects.base import Dialect, Malformed, ProviderError, WholeReply
from llm.journal.journal import Journal, JournalFull
from llm.metrics import ATTEMPTS
from llm.providers.base import Verdict
from llm.types import AdmittedCall, Candidate, Failure
from llm.upstream import http
from llm.upstream.attempts import Attempts
from llm.upstream.client_errors import passed_through, words
from llm.upstream.http import Failed
from llm.upstream.outcomes import BreakerReports, name_of
from llm.upstream.stream import UpstreamStream
from valuecanvas.core.threads import run_aside

T = TypeVar("T")
RETRY_MS = (50, 150)
# Of a provider's own words so many characters are told when all routes failed.
MOST_WORDS = 200
# What it says of our key and account is no caller's matter.
OURS = (Verdict.AUTH, Verdict.BILLING)


@dataclass(slots=True)
class RetryLimit:
    """Same-provider retries under way: at most a fifth of the active requests."""

    active: int = 0
    running: int = 0

    def allowed(self) -> bool:
        return self.running < max(3, self.active // 5)


@dataclass(slots=True)
class Delivery:
    """A whole answer and where it came from."""

    candidate: Candidate
    whole: WholeReply


class Failover:
    """Sends admitted requests upstream."""

    def __init__(
        self,
        pool: aiohttp.ClientSession,
        board: Board,
        outcomes: BreakerReports,
        journal: Journal,
    ) -> None:
        self._pool = pool
        self._board = board
        self.outcomes = outcomes
        self._journal = journal
        self.retries = RetryLimit()

    async def deliver(self, journey: Attempts) -> "Delivery | UpstreamStream":
        """The first answer that a route gives: whole, or a stream with content.

        Raises GatewayError.
        """
        streamed = journey.held.plan.shape.stream
        return await (self._flow(journey) if streamed else self._whole(journey))

    async def _whole(self, journey: Attempts) -> Delivery:
        """The first whole answer that a route gives. Raises GatewayError."""

        async def once(candidate: Candidate, leave: Pass) -> Delivery:
            delivery = await self._whole_once(journey, candidate)
            await self.outcomes.ended(
                candidate, leave, filtered=delivery.whole.filtered
            )
            return delivery

        return await self._first(journey, once)

    async def _flow(self, journey: Attempts) -> UpstreamStream:
        """The first stream that reaches content. Raises GatewayError."""

        async def once(candidate: Candidate, leave: Pass) -> UpstreamStream:
            return await self._flow_once(journey, candidate, leave)

        return await self._first(journey, once)

    async def _first(
        self, journey: Attempts, once: Callable[[Candidate, Pass], Awaitable[T]]
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
        raise journey.exhausted()

    def _may_start(self, journey: Attempts) -> bool:
        left = journey.deadline - time.monotonic()
        least = journey.held.plan.model.first_token_s
        first = journey.attempts == 0
        return first or (journey.attempts < settings.LLM_MAX_ATTEMPTS and left >= least)

    async def _leave(self, journey: Attempts, candidate: Candidate) -> Pass | None:
        provider = candidate.provider.key
        if candidate.forced == "forced_open":
            journey.skip(provider, "its breaker is held open by an operator")
            return None
        if candidate.forced == "forced_closed":
            return Pass(-1)
        lease = journey.deadline - time.monotonic() + 5
        answer = await self._board.acquire(name_of(candidate), lease)
        if isinstance(answer, Rejected):
            journey.back_in(answer.retry_ms)
            journey.reject(provider, answer.reason)
            return None
        return answer

    async def _with_retry(
        self,
        journey: Attempts,
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
            await self.outcomes.failed(candidate, leave, failure)
            if not retry:
                raise
        self.retries.running += 1
        try:
            # Full jitter; nothing secret.
            await asyncio.sleep(random.uniform(*RETRY_MS) / 1000)  # noqa: S311
            return await self._attempt(journey, candidate, leave, once)
        except Failed as failure:
            await self.outcomes.failed(candidate, leave, failure)
            raise
        finally:
            self.retries.running -= 1

    async def _attempt(
        self,
        journey: Attempts,
        candidate: Candidate,
        leave: Pass,
        once: Callable[[Candidate, Pass], Awaitable[T]],
    ) -> T:
        journey.attempts += 1
        began = time.monotonic()
        try:
            return await once(candidate, leave)
        except Failed as failure:
            journey.under_way = False
            self._journal.withdraw(journey.held.call.id)
            ATTEMPTS.labels(candidate.provider.key, failure.verdict.value).inc()
            journey.timed_out = failure.timeout
            if failure.verdict is Verdict.THROTTLED:
                journey.back_in(int(failure.retry_after_s * 1000))
            journey.failures.append(_failure(candidate, failure, began))
            raise
        except BaseException:
            # Cancelled: a probe's slot must not stay taken.
            if leave.probe:
                await asyncio.shield(
                    self.outcomes.told(candidate, leave, Event.RELEASED)
                )
            raise

    async def _whole_once(self, journey: Attempts, candidate: Candidate) -> Delivery:
        held = journey.held
        dialect = dialects.choose(held.call.endpoint, candidate)
        left = journey.deadline - time.monotonic()
        try:
            async with asyncio.timeout(left):
                response = await self._post(journey, candidate, dialect)
                try:
                    raw = await http.read_whole(response, settings.LLM_MAX_REPLY_BYTES)
                finally:
                    http.let_go(response)
        except TimeoutError as error:
            raise Failed(
                Verdict.FAILURE, "The provider's reply took too long.", timeout=True
            ) from error
        large = len(raw) > dialect.most_on_loop
        whole = await run_aside(large, _read, dialect, held, candidate, raw)
        return Delivery(candidate, whole)

    async def _flow_once(
        self, journey: Attempts, candidate: Candidate, leave: Pass
    ) -> UpstreamStream:
        """Open a stream and read up to its first content."""
        held = journey.held
        dialect = dialects.choose(held.call.endpoint, candidate)
        within = min(held.plan.model.first_token_s, journey.deadline - time.monotonic())
        flow: UpstreamStream | None = None
        try:
            async with asyncio.timeout(within):
                response = await self._post(journey, candidate, dialect)
                flow = UpstreamStream(candidate, dialect.reader(held), leave, response)
                if held.place is not None and held.call.endpoint == "chat":
                    flow.reader.assembly = Assembly()
                await flow.begin()
        except BaseException as error:
            if flow is not None:
                flow.close()
            if isinstance(error, TimeoutError):
                what = "sent no token" if flow is not None else "did not answer"
                raise Failed(
                    Verdict.FAILURE, f"The provider {what} in time.", timeout=True
                ) from error
            raise
        return flow

    async def _post(
        self, journey: Attempts, candidate: Candidate, dialect: Dialect
    ) -> aiohttp.ClientResponse:
        try:
            return await self._send(journey, candidate, dialect)
        except Failed as failure:
            if not dialect.can_spare(journey.held, candidate, failure):
                raise
        return await self._send(journey, candidate, dialect)

    async def _send(
        self, journey: Attempts, candidate: Candidate, dialect: Dialect
    ) -> aiohttp.ClientResponse:
        held = journey.held
        large = held.call.size > dialect.most_on_loop
        body = await run_aside(large, dialect.encoded, held, candidate)
        try:
            return await http.post(
                self._pool,
                candidate,
                dialect.path,
                http.RequestBody(body, lambda: self._begin_sending(journey)),
                attempt_id=f"{held.call.id}.{journey.attempts}",
            )
        except Failed:
            if journey.unrecorded is not None:
                raise journey.unrecorded from None
            raise

    def _begin_sending(self, journey: Attempts) -> None:
        """Connected: from here on the provider may bill. Raises JournalFull."""
        try:
            self._journal.record(journey.held.call.id, journey.route, 0)
        except JournalFull as error:
            # The pool makes an error of its own of it.
            journey.unrecorded = error
            raise
        journey.begin_sending()


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


def _failure(candidate: Candidate, failure: Failed, began: float) -> Failure:
    return Failure(
        candidate.provider.key,
        candidate.upstream_model,
        failure.verdict.value,
        failure.status,
        failure.message,
        "" if failure.verdict in OURS else words(failure.error or {}, MOST_WORDS),
        int((time.monotonic() - began) * 1000),
        dt.datetime.now(dt.UTC),
    )
