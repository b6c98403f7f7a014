"""Tries routes in order until one delivers: failover, retries, deadlines, breakers."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from django.conf import settings

from llm.breaker.board import Board
from llm.breaker.types import Event, Pass, Rejected
from llm.journal.journal import Journal
from llm.providers.base import Verdict
from llm.types import Candidate
from llm.upstream.attempts import Attempts
from llm.upstream.client_errors import passed_through
from llm.upstream.failures import note_failure
from llm.upstream.http import Failed
from llm.upstream.key_refresh import KeyRefresh
from llm.upstream.outcomes import BreakerReports, name_of
from llm.upstream.provider_calls import Delivery, ProviderCalls
from llm.upstream.provider_client import ProviderClient
from llm.upstream.stream import UpstreamStream

T = TypeVar("T")
RETRY_MS = (50, 150)


@dataclass(slots=True)
class RetryLimit:
    """Limits retries at the same provider to a fifth of the active requests."""

    active: int = 0
    running: int = 0

    def allows_one(self) -> bool:
        return self.running < max(3, self.active // 5)


class Failover:
    """Sends admitted requests upstream."""

    def __init__(
        self,
        client: ProviderClient,
        board: Board,
        outcomes: BreakerReports,
        journal: Journal,
        keys: KeyRefresh,
    ) -> None:
        self._client = client
        self._calls = ProviderCalls(client, journal)
        self._board = board
        self.outcomes = outcomes
        self._journal = journal
        self._keys = keys
        self.retries = RetryLimit()

    async def deliver(self, attempts: Attempts) -> "Delivery | UpstreamStream":
        """The first answer that a route gives: whole, or a stream with content.

        Raises GatewayError.
        """
        streamed = attempts.held.plan.shape.stream
        return await (self._stream(attempts) if streamed else self._whole(attempts))

    async def _whole(self, attempts: Attempts) -> Delivery:
        """The first whole answer that a route gives. Raises GatewayError."""

        async def once(candidate: Candidate, permit: Pass) -> Delivery:
            delivery = await self._calls.whole(attempts, candidate)
            await self.outcomes.report_answer(
                candidate, permit, filtered=delivery.whole.filtered
            )
            return delivery

        return await self._first(attempts, once)

    async def _stream(self, attempts: Attempts) -> UpstreamStream:
        """The first stream that reaches content. Raises GatewayError."""

        async def once(candidate: Candidate, permit: Pass) -> UpstreamStream:
            return await self._calls.stream(attempts, candidate, permit)

        return await self._first(attempts, once)

    async def _first(
        self, attempts: Attempts, once: Callable[[Candidate, Pass], Awaitable[T]]
    ) -> T:
        for route, candidate in enumerate(self._client.routes(attempts)):
            attempts.route = route
            if not self._may_start(attempts):
                break
            permit = await self._acquire(attempts, candidate)
            if permit is None:
                continue
            try:
                return await self._with_retry(attempts, candidate, permit, once)
            except Failed as failure:
                if failure.verdict is Verdict.CLIENT:
                    raise passed_through(failure) from failure
        raise attempts.final_error()

    def _may_start(self, attempts: Attempts) -> bool:
        left = attempts.deadline - time.monotonic()
        least = attempts.held.plan.model.first_token_s
        first = attempts.count == 0
        return first or (attempts.count < settings.LLM_MAX_ATTEMPTS and left >= least)

    async def _acquire(self, attempts: Attempts, candidate: Candidate) -> Pass | None:
        provider = candidate.provider.key
        if candidate.forced == "forced_open":
            attempts.skip(provider, "its breaker is held open by an operator")
            return None
        if candidate.forced == "forced_closed":
            return Pass(-1)
        lease = attempts.deadline - time.monotonic() + settings.BREAKER_LEASE_SLACK_S
        answer = await self._board.acquire(name_of(candidate), lease)
        if isinstance(answer, Rejected):
            attempts.note_retry(answer.retry_ms)
            attempts.reject(provider, answer.reason)
            return None
        return answer

    async def _with_retry(
        self,
        attempts: Attempts,
        candidate: Candidate,
        permit: Pass,
        once: Callable[[Candidate, Pass], Awaitable[T]],
    ) -> T:
        """One attempt; a second at the same provider only if nothing was sent."""
        try:
            return await self._attempt_with_key(attempts, candidate, permit, once)
        except Failed as failure:
            retry = (
                failure.unsent
                and not permit.probe
                and self.retries.allows_one()
                and self._may_start(attempts)
            )
            await self.outcomes.report_failure(candidate, permit, failure)
            if not retry:
                raise
        self.retries.running += 1
        try:
            # Full jitter; nothing secret.
            await asyncio.sleep(random.uniform(*RETRY_MS) / 1000)  # noqa: S311
            return await self._attempt_with_key(attempts, candidate, permit, once)
        except Failed as failure:
            await self.outcomes.report_failure(candidate, permit, failure)
            raise
        finally:
            self.retries.running -= 1

    async def _attempt_with_key(
        self,
        attempts: Attempts,
        candidate: Candidate,
        permit: Pass,
        once: Callable[[Candidate, Pass], Awaitable[T]],
    ) -> T:
        """One attempt; a second if the key was refused and there is a new one."""
        try:
            return await self._attempt(attempts, candidate, permit, once)
        except Failed as failure:
            renewed = await self._keys.renew(candidate, failure)
            if renewed is None or not self._may_start(attempts):
                raise
        return await self._attempt(attempts, renewed, permit, once)

    async def _attempt(
        self,
        attempts: Attempts,
        candidate: Candidate,
        permit: Pass,
        once: Callable[[Candidate, Pass], Awaitable[T]],
    ) -> T:
        attempts.begin()
        try:
            return await once(candidate, permit)
        except Failed as failure:
            self._journal.withdraw(attempts.held.call.id)
            note_failure(attempts, candidate, failure)
            raise
        except BaseException:
            # Cancelled: a probe's slot must not stay taken.
            if permit.probe:
                await asyncio.shield(
                    self.outcomes.report(candidate, permit, Event.RELEASED)
                )
            raise
