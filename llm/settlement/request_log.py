"""Writes metrics and the log line of an answered request, never its content."""

from functools import lru_cache

import structlog
from django.conf import settings

from billing.ledger import Charge
from llm import metrics
from llm.settlement.charge import entry_charge
from llm.settlement.request_spans import OPERATIONS, describe_request, exemplar
from llm.types import CLIENT_GONE, CacheHit, Call, Plan
from valuecanvas.core.errors import SERVER_CODES
from valuecanvas.core.telemetry import request_context

log = structlog.get_logger("llm.request")
# The status, in metrics, of a request that a provider refused for what it says.
CALLERS_FAULT = "invalid"
# Others are a provider's own words.
ERROR_TYPES = SERVER_CODES | {CLIENT_GONE}


def observe(
    call: Call, plan: Plan, charge: Charge, cost: int, *, callers_fault: bool = False
) -> None:
    """Count and log one answered request; `cost` is what the caller paid."""
    endpoint, model, provider = call.endpoint, plan.model.name, charge.provider
    status = CALLERS_FAULT if callers_fault else charge.status
    describe_request(call, plan, charge, cost)
    kept, taken_s = exemplar(), charge.latency_ms / 1000
    metrics.REQUESTS.labels(endpoint, model, provider, status).inc()
    metrics.LATENCY.labels(endpoint, provider).observe(taken_s, kept)
    if charge.ttft_ms is not None:
        metrics.FIRST_TOKEN.labels(provider).observe(charge.ttft_ms / 1000, kept)
    if charge.cached:
        metrics.CACHE_HITS.labels(model).inc()
        metrics.SAVED.labels(model).inc(charge.saved)
    else:
        metrics.TOKENS.labels(model, provider, "input").inc(charge.prompt_tokens)
        metrics.TOKENS.labels(model, provider, "output").inc(charge.completion_tokens)
        metrics.COST.labels(model, provider).inc(cost)
        _observe_gen_ai(call, plan, charge, kept)
    if settings.ACCESS_LOG:
        _log(call, plan, charge, cost)


def _observe_gen_ai(
    call: Call, plan: Plan, charge: Charge, kept: dict[str, str] | None
) -> None:
    """Observe a request to providers, by the names of OpenTelemetry's conventions."""
    # A request without an answer may have been sent to several providers.
    names = (
        OPERATIONS.get(call.endpoint, call.endpoint),
        charge.provider or "none",
        charge.upstream_model or plan.model.name,
    )
    duration = metrics.GEN_AI_DURATION.labels(*names, _error_type(charge))
    duration.observe(charge.latency_ms / 1000, kept)
    if charge.ttft_ms is not None:
        first = metrics.GEN_AI_FIRST_CHUNK.labels(*names)
        first.observe(charge.ttft_ms / 1000, kept)
    if charge.prompt_tokens or charge.completion_tokens:
        tokens = metrics.GEN_AI_TOKENS.labels
        tokens(*names, "input").observe(charge.prompt_tokens)
        if call.endpoint != "embeddings":
            tokens(*names, "output").observe(charge.completion_tokens)


def _error_type(charge: Charge) -> str:
    if charge.status == "ok":
        return ""
    known = charge.error_code in ERROR_TYPES
    return charge.error_code if known else metrics.GEN_AI_OTHER_ERROR


def count_passed_over(plan: Plan) -> None:
    """Count models that an operator named but that could not answer."""
    for named_by, model in plan.chosen.passed_over:
        metrics.PASSED_OVER.labels(named_by, model).inc()
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
