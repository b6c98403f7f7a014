"""The ledger's charge for a request, and its summary for the caller."""

import time
from typing import Any

from billing.ledger import Charge
from llm.cache.entry import Entry
from llm.settlement.outcome import RequestOutcome, cost_of
from llm.types import Call, Summary
from llm.upstream.attempts import Attempts


def charge_of(attempts: Attempts, outcome: RequestOutcome) -> Charge:
    if outcome.shared is not None:
        return entry_charge(
            attempts.held.call,
            outcome.shared,
            status=outcome.status,
            error_code=outcome.error_code,
            ttft_ms=outcome.ttft_ms,
            marks=("coalesced",),
        )
    used, candidate = outcome.tokens, outcome.candidate
    cost = cost_of(outcome)
    marks = used.marks
    if candidate is not None and candidate.unpriced:
        marks = (*marks, "unpriced")
    return Charge(
        cost=0 if outcome.refund else cost,
        provider_cost=_provider_cost(outcome),
        prompt_tokens=used.prompt,
        completion_tokens=used.completion,
        cached_tokens=used.cached,
        cache_write_tokens=used.written,
        provider=candidate.provider.key if candidate else "",
        upstream_model=candidate.upstream_model if candidate else "",
        status=outcome.status,
        error_code=outcome.error_code[:80],
        latency_ms=_elapsed_ms(attempts.held.call),
        ttft_ms=outcome.ttft_ms,
        attempts=attempts.count,
        source=used.source,
        marks=marks,
        refund=outcome.refund,
    )


def entry_charge(call: Call, entry: Entry, **more: Any) -> Charge:
    """The charge for a stored or shared answer: it costs nothing, and saved its price."""
    return Charge(
        prompt_tokens=entry.prompt_tokens,
        completion_tokens=entry.completion_tokens,
        cached_tokens=entry.cached_tokens,
        provider=entry.provider,
        upstream_model=entry.upstream_model,
        latency_ms=_elapsed_ms(call),
        source="cache",
        cached=True,
        saved=entry.cost,
        **more,
    )


def _provider_cost(outcome: RequestOutcome) -> int:
    """What the provider asks for the answer, in micro-dollars: at least our price."""
    claimed, candidate = outcome.tokens.claimed, outcome.candidate
    if claimed is None or candidate is None:
        return cost_of(outcome)
    return candidate.rate.cost(*claimed)


def _elapsed_ms(call: Call) -> int:
    return int((time.monotonic() - call.started) * 1000)


def summary_of(
    attempts: Attempts, outcome: RequestOutcome, charge: Charge, cost: int
) -> Summary:
    held = attempts.held
    return Summary(
        request_id=str(held.call.id),
        provider=charge.provider,
        model=held.plan.model.name,
        upstream_model=charge.upstream_model,
        cost=cost,
        cached=charge.cached,
        tokens=outcome.tokens,
        latency_ms=charge.latency_ms,
        ttft_ms=charge.ttft_ms,
        attempts=charge.attempts,
        epoch=held.plan.epoch,
    )
