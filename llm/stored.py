"""Answers that need no provider: from the cache, or kept under an idempotency key."""

import time

from billing.ledger import Stored
from llm import headers
from llm.cache import replay
from llm.cache.entry import Entry
from llm.types import Call, Known, Plan, Repeated, Reply, Summary, Tokens
from valuecanvas.core import money

JSON = "application/json"
EVENTS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    # nginx would hold the events back.
    "X-Accel-Buffering": "no",
}


def cost_comment(micros: int) -> bytes:
    """The trailing comment of a stream, with what it cost."""
    return f": x-valuecanvas-cost-usd={money.text(micros)}\n\n".encode()


def of_entry(call: Call, plan: Plan, entry: Entry) -> Stored:
    """A stored answer in the form that this call asked for."""
    sent = {
        "Content-Type": JSON,
        "x-valuecanvas-provider": entry.provider,
        "x-valuecanvas-cache": "hit",
        **headers.chosen(plan.chosen),
    }
    if not plan.shape.stream:
        sent["x-valuecanvas-cost-usd"] = money.text(0)
        return Stored(200, sent, entry.body)
    sent |= EVENTS
    events = replay.events(entry.body, include_usage=plan.shape.include_usage)
    end = cost_comment(0) + b"data: [DONE]\n\n"
    return Stored(200, sent, b"".join(events) + end)


def known(found: Known) -> Reply:
    """The reply to a cache hit."""
    call, plan, entry = found.call, found.plan, found.entry
    answer = of_entry(call, plan, entry)
    sent = {
        **headers.admitted(found.admitted),
        **answer.headers,
        "x-valuecanvas-epoch": str(plan.epoch),
        "Age": str(max(0, int(time.time() - entry.at))),
    }
    summary = Summary(
        request_id=str(call.id),
        provider=entry.provider,
        model=plan.model.name,
        upstream_model=entry.upstream_model,
        cost=0,
        cached=True,
        tokens=Tokens(
            entry.prompt_tokens, entry.completion_tokens, entry.cached_tokens
        ),
        latency_ms=int((time.monotonic() - call.started) * 1000),
        ttft_ms=None,
        attempts=0,
        epoch=plan.epoch,
    )
    return Reply(200, sent, answer.body, summary)


def repeated(found: Repeated) -> Reply:
    """The reply to the second use of an idempotency key: the first one's, again."""
    stored = found.stored
    summary = Summary(
        request_id=found.request_id,
        provider=stored.headers.get("x-valuecanvas-provider", ""),
        model="",
        upstream_model="",
        cost=0,
        cached=True,
        tokens=Tokens(),
        latency_ms=0,
        ttft_ms=None,
        attempts=0,
        epoch=0,
    )
    sent = {
        **stored.headers,
        "Idempotent-Replayed": "true",
        "x-valuecanvas-original-request-id": found.request_id,
    }
    return Reply(stored.status, sent, stored.body, summary)
