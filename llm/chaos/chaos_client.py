"""Injects faults into calls of providers: a client with the interface of the real one."""

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp

from llm.chaos import injected_responses
from llm.chaos.cut import BytePoint, CutContent, EventPoint
from llm.chaos.leases import Lease, Leases
from llm.chaos.plan import attributes_of
from llm.coalesce.sharing import AnswerSharing
from llm.models.chaos import FaultKind
from llm.types import Candidate
from llm.upstream.attempts import Attempts
from llm.upstream.http import ProviderResponse, check
from llm.upstream.provider_client import ProviderClient, RequestBody
from valuecanvas.core.targeting import bucketing

# Its lease ends earlier, or else the caller gives up.
FOREVER_S = 86_400.0


class ChaosClient(ProviderClient):
    """Calls providers, and injects the faults of the leases that this process has.

    Of a call that an experiment may meet, nothing is shared with calls that it may not:
    no breaker, and no answer that others wait for.
    """

    def __init__(
        self, pool: aiohttp.ClientSession, leases: Leases, sharing: AnswerSharing
    ) -> None:
        super().__init__(pool)
        self._leases = leases
        self._sharing = sharing

    def routes(self, attempts: Attempts) -> tuple[Candidate, ...]:
        """The routes; those that a limited run may meet have breakers of their own."""
        held = attempts.held
        found = held.plan.candidates
        known = None
        for lease in self._leases.live():
            plan = lease.plan
            if not (plan.limited and plan.is_upstream):
                continue
            known = known or attributes_of(held)
            if plan.may_meet(known):
                self._sharing.fail(held)
                found = tuple(_own_breaker(one, lease) for one in found)
        return found

    async def post(
        self,
        attempts: Attempts,
        candidate: Candidate,
        path: str,
        body: RequestBody,
        *,
        traceparent: str = "",
    ) -> ProviderResponse:
        """As the real one: POST, unless a fault comes before. Raises Failed."""
        lease = self._pick(attempts, candidate)
        if lease is None:
            return await super().post(
                attempts, candidate, path, body, traceparent=traceparent
            )
        send = partial(
            super().post, attempts, candidate, path, body, traceparent=traceparent
        )
        self._sharing.fail(attempts.held)
        fault, parameters = lease.plan.fault, lease.plan.parameters
        if fault == FaultKind.CUT:
            return self._cut(await send(), lease, attempts, candidate)
        self._note(lease, attempts, candidate)
        if fault in (FaultKind.LATENCY, FaultKind.TIMEOUT):
            attempts.slowed_by = lease.name
            await self._leases.wait(lease, _delay(fault, parameters))
            return await send()
        attempts.injected_by = lease.name
        streamed = attempts.held.plan.shape.stream
        response = _answer(fault, parameters, streamed=streamed)
        await check(response, candidate)
        return response

    def _pick(self, attempts: Attempts, candidate: Candidate) -> Lease | None:
        """The lease whose fault meets this call; None: there is none."""
        for lease in self._leases.live():
            plan = lease.plan
            if plan.limited and candidate.scope != lease.scope:
                continue
            if not (plan.is_upstream and plan.concerns(candidate.provider.key)):
                continue
            # The same for each attempt of a request, in each process.
            call = str(attempts.held.call.id)
            at = bucketing.bucket(str(lease.run_id), call)
            if at < plan.percent * bucketing.BUCKETS / 100:
                return lease
        return None

    def _cut(
        self,
        response: ProviderResponse,
        lease: Lease,
        attempts: Attempts,
        candidate: Candidate,
    ) -> ProviderResponse:
        """The response, whose body breaks off at the point that the plan names."""

        def note_cut() -> None:
            attempts.injected_by = lease.name
            self._note(lease, attempts, candidate)

        parameters = lease.plan.parameters
        by_event = parameters["unit"] == "events" and attempts.held.plan.shape.stream
        point = (EventPoint if by_event else BytePoint)(parameters["after"])
        content = CutContent(response.content, point, note_cut)
        return injected_responses.CutResponse(response, content)

    def _note(self, lease: Lease, attempts: Attempts, candidate: Candidate) -> None:
        self._leases.note(
            lease,
            provider=candidate.provider.key,
            model=attempts.held.plan.model.name,
            request_id=str(attempts.held.call.id),
        )


def _own_breaker(route: Candidate, lease: Lease) -> Candidate:
    """The route with a breaker of the run's audience, if the run is about its provider."""
    if not lease.plan.concerns(route.provider.key):
        return route
    return replace(route, scope=lease.scope)


def _answer(
    fault: str, parameters: Mapping[str, Any], *, streamed: bool
) -> injected_responses.InjectedResponse:
    if fault == FaultKind.ERROR:
        return injected_responses.refuse(parameters["status"])
    if fault == FaultKind.RATE_LIMIT:
        return injected_responses.refuse(429, retry_after_s=parameters["retry_after_s"])
    return injected_responses.malform(parameters["form"], streamed=streamed)


def _delay(fault: str, parameters: Mapping[str, Any]) -> float:
    """Seconds to wait; for a timeout, longer than any caller does."""
    if fault == FaultKind.TIMEOUT:
        return FOREVER_S
    drawn = _draw(parameters["shape"], parameters["delay_ms"], parameters["spread_ms"])
    return float(min(max(drawn, 0), parameters["most_ms"])) / 1000


def _draw(shape: str, mean: float, spread: float) -> float:
    if shape == "uniform":
        return random.uniform(mean - spread, mean + spread)  # noqa: S311 - nothing secret
    if shape == "normal":
        return random.gauss(mean, spread)
    if shape == "exponential":
        return random.expovariate(1 / max(mean, 1))
    return mean
