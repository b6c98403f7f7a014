"""What a request's trace says of its provider calls and its bill.

Names are those of OpenTelemetry's conventions for generative AI, and `valuecanvas.` where
those have none. No prompt, answer or name of a user is among them.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from billing.ledger import Charge
from llm.settlement.outcome import RequestOutcome
from llm.types import AdmittedCall, Call, Candidate, Failure, Plan
from llm.upstream.attempts import Attempts
from valuecanvas.core.telemetry import traces
from valuecanvas.core.telemetry.traces import Kind, SpanEvent, TraceSpan

# What our endpoints do, in the words of the conventions.
OPERATIONS = {"chat": "chat", "responses": "chat", "embeddings": "embeddings"}
# Fields of the body that are numbers, and safe to keep.
PARAMETERS = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
# The chaos experiment that made the attempt fail, or take longer.
INJECTED_BY = "valuecanvas.chaos.experiment"
PORTS = {"https": 443, "http": 80}


def describe_request(call: Call, plan: Plan, charge: Charge, cost: int) -> None:
    """Add to the trace what the ledger has of the request; `cost` is the caller's."""
    trace = traces.current()
    if trace is None:
        return
    if charge.status == "interrupted":
        # Its status was 200 long before.
        trace.error = charge.error_code
    trace.describe(lambda: _request_attributes(call, plan, charge, cost))


def exemplar() -> dict[str, str] | None:
    """What leads from a metric to this request's trace, if that is kept."""
    trace = traces.current()
    return {"trace_id": trace.id} if trace is not None and trace.is_kept() else None


def add_upstream(
    attempts: Attempts, outcome: RequestOutcome, charge: Charge, settled_from: float
) -> None:
    """Add to the trace the calls of providers, and the settlement that ends now."""
    trace = traces.current()
    if trace is None:
        return
    begun, until = trace.left_at, time.monotonic()
    calls = UpstreamCalls(attempts, outcome, charge, begun, settled_from)
    trace.add(lambda: (calls.span(), TraceSpan("settle", settled_from, until)))


def _request_attributes(
    call: Call, plan: Plan, charge: Charge, cost: int
) -> dict[str, Any]:
    found = {
        "valuecanvas.endpoint": call.endpoint,
        "valuecanvas.model": plan.model.name,
        "valuecanvas.provider": charge.provider,
        "valuecanvas.customer_id": str(plan.principal.customer_id),
        "valuecanvas.status": charge.status,
        "valuecanvas.cached": charge.cached,
        "valuecanvas.attempts": charge.attempts,
        "valuecanvas.cost_usd": cost / 1_000_000,
    }
    if charge.error_code:
        found["valuecanvas.error_code"] = charge.error_code
    if plan.chosen.prompt_key:
        found["gen_ai.prompt.name"] = plan.chosen.prompt_key
    return found


@dataclass(frozen=True, slots=True)
class UpstreamCalls:
    """How a request was answered: by calls of providers, or by another's answer."""

    attempts: Attempts
    outcome: RequestOutcome
    charge: Charge
    start: float
    end: float

    def span(self) -> TraceSpan:
        """The step, with a child for each attempt."""
        failures = self.attempts.failures
        calls = [self._failed(at, one) for at, one in enumerate(failures, start=1)]
        if self.attempts.count > len(failures):
            calls.append(self._last())
        return TraceSpan(
            "follow" if self.outcome.shared else "call upstream",
            self.start,
            self.end,
            error="" if self.outcome.status == "ok" else self.outcome.error_code,
            events=list(_failovers(calls)),
            children=calls,
        )

    def _failed(self, number: int, failure: Failure) -> TraceSpan:
        # Its time is of the clock on the wall.
        end = failure.at.timestamp() - time.time() + time.monotonic()
        held = self.attempts.held
        candidate = next(
            one
            for one in held.plan.candidates
            if (one.provider.key, one.upstream_model)
            == (failure.provider, failure.upstream_model)
        )
        attributes = _call_attributes(held, candidate)
        if failure.status is not None:
            attributes["http.response.status_code"] = failure.status
        if failure.injected_by:
            attributes[INJECTED_BY] = failure.injected_by
        return TraceSpan(
            _name(attributes),
            end - failure.latency_ms / 1000,
            end,
            Kind.CLIENT,
            attributes,
            error=failure.verdict,
            message=failure.message,
            attempt=number,
        )

    def _last(self) -> TraceSpan:
        """The attempt that delivered, or was cut short."""
        held, outcome, start = (
            self.attempts.held,
            self.outcome,
            self.attempts.started_at,
        )
        candidate = held.plan.candidates[self.attempts.route]
        attributes = _call_attributes(held, candidate)
        events = []
        if self.attempts.slowed_by:
            attributes[INJECTED_BY] = self.attempts.slowed_by
        if outcome.candidate is not None:
            attributes |= self._usage()
        if outcome.ttft_ms is not None:
            first = held.call.started + outcome.ttft_ms / 1000
            attributes["gen_ai.response.time_to_first_chunk"] = max(0.0, first - start)
            events.append(SpanEvent("first token", first))
        return TraceSpan(
            _name(attributes),
            start,
            self.end,
            Kind.CLIENT,
            attributes,
            error="" if outcome.status == "ok" else outcome.error_code,
            events=events,
            attempt=self.attempts.count,
        )

    def _usage(self) -> dict[str, Any]:
        used = self.outcome.tokens
        found = {
            "gen_ai.usage.input_tokens": used.prompt,
            "gen_ai.usage.output_tokens": used.completion,
            "valuecanvas.provider_cost_usd": self.charge.provider_cost / 1_000_000,
        }
        if used.cached:
            found["gen_ai.usage.cache_read.input_tokens"] = used.cached
        if used.written:
            found["gen_ai.usage.cache_creation.input_tokens"] = used.written
        return found


def _failovers(calls: list[TraceSpan]) -> Iterator[SpanEvent]:
    """The moments at which another provider was asked."""
    name = "gen_ai.provider.name"
    for before, after in zip(calls, calls[1:], strict=False):
        if before.attributes[name] != after.attributes[name]:
            to = {"valuecanvas.provider": after.attributes[name]}
            yield SpanEvent("failover", after.start, to)


def _name(attributes: dict[str, Any]) -> str:
    return f"{attributes['gen_ai.operation.name']} {attributes['gen_ai.request.model']}"


def _call_attributes(held: AdmittedCall, candidate: Candidate) -> dict[str, Any]:
    plan, call = held.plan, held.call
    url = urlsplit(candidate.provider.base_url)
    found = {
        "gen_ai.operation.name": OPERATIONS.get(call.endpoint, call.endpoint),
        "gen_ai.provider.name": candidate.provider.key,
        "gen_ai.request.model": candidate.upstream_model,
        "gen_ai.request.stream": plan.shape.stream,
        "server.address": url.hostname or "",
        "server.port": url.port or PORTS.get(url.scheme, 0),
    }
    if plan.max_output:
        found["gen_ai.request.max_tokens"] = plan.max_output
    if plan.shape.choices > 1:
        found["gen_ai.request.choice.count"] = plan.shape.choices
    for name in PARAMETERS:
        value = plan.body.get(name)
        if isinstance(value, int | float):
            found[f"gen_ai.request.{name}"] = value
    return found
