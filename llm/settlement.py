"""What an answered request came to, and its one place in the ledger."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings

from billing.ledger import Charge, Ledger, Settle, Settled
from llm import metrics, tokens, usage
from llm.relay import Journey
from llm.types import Candidate, Held, Summary, Tokens
from llm.usage import Own
from valuecanvas.core.batch import BatchUnavailable
from valuecanvas.core.errors import GatewayError

log = structlog.get_logger("llm.request")
# An answer waits this long for its settlement while the database is away; the
# settlement itself stays queued until it is committed.
ANSWER_WAITS_S = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended."""

    status: str
    candidate: Candidate | None = None
    tokens: Tokens = Tokens()
    error_code: str = ""
    refund: bool = False
    ttft_ms: int | None = None


def counted(held: Held, reported: Any, size: int, pieces: int = 0) -> Tokens:
    """The tokens to bill for an answer of `size` bytes in `pieces` events."""
    shape = held.plan.shape
    own = Own(
        prompt_bytes=shape.prompt_bytes,
        prompt_tokens=shape.prompt_tokens,
        completion_tokens=tokens.delivered(size, pieces),
        most_completion=held.plan.max_output * shape.choices,
    )
    return usage.read(reported, own)


def facts(held_call: Any, model: str, principal: Any) -> dict[str, Any]:
    """The columns of the ledger row that are known at admission."""
    return {
        "user_id": principal.user_id,
        "model": model,
        "endpoint": held_call.endpoint,
        "trace_id": held_call.trace_id,
    }


async def settle(
    ledger: Ledger, journey: Journey, outcome: Outcome, *, wait: bool = True
) -> Summary:
    """End the reservation of a request, billed or refunded. Never raises.

    The settlement is queued at once and is not cancelled with its caller.
    """
    held = journey.held
    charge = _charge(journey, outcome)
    item = Settle(
        held.admitted,
        facts(held.call, held.plan.model.name, held.plan.principal),
        held.plan.epoch,
        charge,
    )
    cost = charge.cost
    queued = asyncio.ensure_future(ledger.put(item))
    if wait:
        try:
            async with asyncio.timeout(ANSWER_WAITS_S):
                settled: Settled = await asyncio.shield(queued)
            cost = settled.cost
        except (TimeoutError, BatchUnavailable):
            log.warning("request.unsettled", request_id=str(held.call.id))
    else:
        queued.add_done_callback(_heard)
    _observe(journey, outcome, charge, cost)
    return _summary(journey, outcome, charge, cost)


def _heard(settled: asyncio.Future[Any]) -> None:
    """Take note of an error that nobody waits for."""
    if not settled.cancelled() and settled.exception() is not None:
        log.warning("request.unsettled", error=type(settled.exception()).__name__)


def _charge(journey: Journey, outcome: Outcome) -> Charge:
    used, candidate = outcome.tokens, outcome.candidate
    cost = 0
    marks = used.marks
    if candidate is not None:
        cost = candidate.rate.cost(used.prompt, used.completion, used.cached)
        if candidate.unpriced:
            marks = (*marks, "unpriced")
    return Charge(
        cost=0 if outcome.refund else cost,
        provider_cost=cost,
        prompt_tokens=used.prompt,
        completion_tokens=used.completion,
        cached_tokens=used.cached,
        provider=candidate.provider.key if candidate else "",
        upstream_model=candidate.upstream_model if candidate else "",
        status=outcome.status,
        error_code=outcome.error_code[:80],
        latency_ms=_elapsed_ms(journey.held),
        ttft_ms=outcome.ttft_ms,
        attempts=journey.attempts,
        source=used.source,
        marks=marks,
        refund=outcome.refund,
    )


def _elapsed_ms(held: Held) -> int:
    return int((time.monotonic() - held.call.started) * 1000)


def _summary(journey: Journey, outcome: Outcome, charge: Charge, cost: int) -> Summary:
    held = journey.held
    return Summary(
        request_id=str(held.call.id),
        provider=charge.provider,
        model=held.plan.model.name,
        upstream_model=charge.upstream_model,
        cost=cost,
        cached=False,
        tokens=outcome.tokens,
        latency_ms=charge.latency_ms,
        ttft_ms=charge.ttft_ms,
        attempts=charge.attempts,
        epoch=held.plan.epoch,
    )


def _observe(journey: Journey, outcome: Outcome, charge: Charge, cost: int) -> None:
    """Metrics and the request's log line: names and numbers, never content."""
    held = journey.held
    endpoint, model, provider = (
        held.call.endpoint,
        held.plan.model.name,
        charge.provider,
    )
    metrics.REQUESTS.labels(endpoint, model, provider, outcome.status).inc()
    metrics.LATENCY.labels(endpoint, provider).observe(charge.latency_ms / 1000)
    if charge.ttft_ms is not None:
        metrics.FIRST_TOKEN.labels(provider).observe(charge.ttft_ms / 1000)
    metrics.TOKENS.labels(model, provider, "input").inc(charge.prompt_tokens)
    metrics.TOKENS.labels(model, provider, "output").inc(charge.completion_tokens)
    metrics.COST.labels(model, provider).inc(cost)
    if settings.ACCESS_LOG:
        log.info(
            "request.done",
            request_id=str(held.call.id),
            trace_id=held.call.trace_id,
            endpoint=endpoint,
            model=model,
            provider=provider,
            upstream_model=charge.upstream_model,
            key=held.plan.principal.key,
            team=held.plan.principal.team,
            status=outcome.status,
            error_code=charge.error_code,
            attempts=charge.attempts,
            prompt_tokens=charge.prompt_tokens,
            completion_tokens=charge.completion_tokens,
            cost_micro_usd=cost,
            latency_ms=charge.latency_ms,
            ttft_ms=charge.ttft_ms,
            epoch=held.plan.epoch,
        )


def refused(error: GatewayError) -> Outcome:
    """The outcome of a request that no provider answered: quota and money go back."""
    return Outcome("error", error_code=error.code or error.type, refund=True)
