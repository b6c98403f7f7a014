"""Writes metrics and the log line of an answered request, never its content."""

from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings

from billing.ledger import Charge
from llm import metrics
from llm.settlement.charge import entry_charge
from llm.settlement.request_spans import describe_request, exemplar
from llm.types import CacheHit, Call, Plan
from valuecanvas.core.telemetry import request_context

log = structlog.get_logger("llm.request")


def observe(call: Call, plan: Plan, charge: Charge, cost: int) -> None:
    """Count and log one answered request; `cost` is what the caller paid."""
    endpoint, model, provider = call.endpoint, plan.model.name, charge.provider
    _child(metrics.REQUESTS, endpoint, model, provider, charge.status).inc()
    describe_request(call, plan, charge, cost)
    latency = _child(metrics.LATENCY, endpoint, provider)
    latency.observe(charge.latency_ms / 1000, exemplar())
    if charge.ttft_ms is not None:
        _child(metrics.FIRST_TOKEN, provider).observe(charge.ttft_ms / 1000)
    if charge.cached:
        _child(metrics.CACHE_HITS, model).inc()
        _child(metrics.SAVED, model).inc(charge.saved)
    else:
        _child(metrics.TOKENS, model, provider, "input").inc(charge.prompt_tokens)
        _child(metrics.TOKENS, model, provider, "output").inc(charge.completion_tokens)
        _child(metrics.COST, model, provider).inc(cost)
    if settings.ACCESS_LOG:
        _log(call, plan, charge, cost)


@lru_cache(maxsize=4096)
def _child(instrument: Any, *labels: str) -> Any:
    """One labelled series, cached: finding it costs as much as counting."""
    return instrument.labels(*labels)


def count_passed_over(plan: Plan) -> None:
    """Count models that an operator named but that could not answer."""
    for named_by, model in plan.chosen.passed_over:
        _child(metrics.PASSED_OVER, named_by, model).inc()
        _log_passed_over(named_by, model, plan.chosen.prompt_key, plan.epoch)


@lru_cache(maxsize=1024)
def _log_passed_over(named_by: str, model: str, prompt: str, epoch: int) -> None:
    """Log one line for each change of the configuration, not for each request."""
    log.warning(
        "model.passed_over", named_by=named_by, model=model, prompt=prompt, epoch=epoch
    )


def observe_hit(hit: CacheHit) -> None:
    """Count and log a request that was answered from the cache."""
    observe(hit.call, hit.plan, entry_charge(hit.call, hit.entry), 0)


def _log(call: Call, plan: Plan, charge: Charge, cost: int) -> None:
    request_context.current().logged = True
    log.info(
        "request.done",
        request_id=str(call.id),
        trace_id=call.trace_id,
        job_id=call.job,
        customer_id=str(plan.principal.customer_id),
        endpoint=call.endpoint,
        model=plan.model.name,
        provider=charge.provider,
        upstream_model=charge.upstream_model,
        key=plan.principal.key,
        team=plan.principal.team,
        status=charge.status,
        error_code=charge.error_code,
        cached=charge.cached,
        attempts=charge.attempts,
        prompt_tokens=charge.prompt_tokens,
        completion_tokens=charge.completion_tokens,
        cost_micro_usd=cost,
        latency_ms=charge.latency_ms,
        ttft_ms=charge.ttft_ms,
        epoch=plan.epoch,
    )
