"""Times what logs, metrics and traces add to a request, each call alone: CPU in microseconds.

A few of them drown in the noise of a whole server. Run in a process with Django's settings:
python manage.py shell --no-imports -c "from bench import telemetry_cost; telemetry_cost.run()"
"""

from __future__ import annotations

import io
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import redirect_stderr

import structlog
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from llm import metrics
from valuecanvas.core.telemetry import logs, span_export
from valuecanvas.core.telemetry.request_context import RequestContext
from valuecanvas.core.telemetry.traces import Kind, Trace, TraceSpan

ROUNDS, CALLS = 7, 2_000
STEPS = ("authenticate", "resolve", "look", "admit", "relay", "settle")
IDS = {"request_id": str(uuid.uuid4()), "customer_id": str(uuid.uuid4())}
# As of llm/settlement/request_log.py.
FIELDS = {
    "endpoint": "chat", "model": "a-model", "provider": "a-provider",
    "upstream_model": "its-model", "key": "0123456789ab", "team": "a-team",
    "status": "ok", "error_code": "", "cached": False, "attempts": 1,
    "prompt_tokens": 12, "completion_tokens": 34, "cost_micro_usd": 5, "latency_ms": 6,
    "ttft_ms": None, "epoch": 3, "trace_id": "", "job_id": None,
}  # fmt: skip
log = structlog.get_logger("bench")


def run() -> None:
    """Print the table."""
    sampled, dropped = 1 << 127 | 1, 1 << 127 | (1 << 56) - 1
    finished: list[tuple[Trace, TraceSpan]] = [_trace(sampled) for _ in range(50)]
    found = {
        "log line of a request, searched for personal data": _time(_log),
        "metrics of a miss": _time(_metrics),
        "trace that is dropped": _time(lambda: _begin(dropped).is_kept()),
        "spans of a trace that is kept, and their encoding": _time(
            lambda: _trace(sampled)
        )
        + _time(lambda: span_export.encode(finished, Resource()), CALLS // 50) / 50,
    }
    for name, took in found.items():
        sys.stdout.write(f"| {name} | {took:.1f} us |\n")


def _time(call: Callable[[], object], calls: int = CALLS) -> float:
    """Microseconds of CPU of one call: the least of some rounds."""
    rounds = []
    with redirect_stderr(io.StringIO()):
        for _ in range(ROUNDS):
            began = time.process_time()
            for _ in range(calls):
                call()
            rounds.append((time.process_time() - began) * 1e6 / calls)
    return min(rounds)


def _log() -> None:
    with RequestContext("chat", IDS) as context:
        context.logged = True
        log.info("request.done", **FIELDS)


def _metrics() -> None:
    names = ("chat", "a-provider", "a-model")
    metrics.REQUESTS.labels("chat", "a-model", "a-provider", "ok").inc()
    metrics.LATENCY.labels("chat", "a-provider").observe(0.2)
    metrics.FIRST_TOKEN.labels("a-provider").observe(0.1)
    metrics.COST.labels("a-model", "a-provider").inc(5)
    metrics.GEN_AI_DURATION.labels(*names, "").observe(0.2)
    metrics.GEN_AI_FIRST_CHUNK.labels(*names).observe(0.1)
    for kind in ("input", "output"):
        metrics.TOKENS.labels("a-model", "a-provider", kind).inc(12)
        metrics.GEN_AI_TOKENS.labels(*names, kind).observe(12)


def _begin(trace_id: int) -> Trace:
    trace = Trace("POST", Kind.SERVER, trace_id)
    for step in STEPS:
        trace.enter(step)
    trace.leave()
    trace.describe(lambda: FIELDS)
    return trace


def _trace(trace_id: int) -> tuple[Trace, TraceSpan]:
    trace = _begin(trace_id)
    return trace, trace._make_root()


logs.configure("info")
