"""Builds replies without a provider: from the cache, or for an idempotency key."""

import time

from django.conf import settings

from billing.ledger import Stored
from billing.models import Usage
from llm.cache import replay
from llm.cache.entry import Entry
from llm.replies import headers
from llm.types import CacheHit, Call, Plan, ReplayedCall, Reply, Summary, TokenUse
from valuecanvas.core import money

JSON = "application/json"
DONE = b"data: [DONE]\n\n"
COST = "x-valuecanvas-cost-usd"
PROVIDER = "x-valuecanvas-provider"
EVENTS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    # nginx would hold the events back.
    "X-Accel-Buffering": "no",
}


def with_cost(ending: bytes, micros: int) -> bytes:
    """The `ending` of a stream with its cost as a comment in the last event.

    A separate comment would be a block without data, which some clients read as an
    empty event.
    """
    before, gap, last = ending.removesuffix(b"\n\n").rpartition(b"\n\n")
    comment = f": {COST}={money.text(micros)}\n".encode()
    return b"%b%b%b%b\n\n" % (before, gap, comment, last)


class SentParts:
    """What was sent of a stream, to keep it for an idempotency key."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, part: bytes) -> None:
        # Past the limit it is not kept: see Settlement.
        if self.size <= settings.LLM_IDEMPOTENCY_MAX_BYTES:
            self._parts.append(part)
            self.size += len(part)

    def answer(self, headers: dict[str, str], ending: bytes) -> Stored | None:
        """The whole answer; None if nothing was sent: the key is free for another try."""
        body = b"".join(self._parts) + ending
        return Stored(200, {**EVENTS, **headers}, body) if body else None


def from_entry(call: Call, plan: Plan, entry: Entry) -> Stored:
    """A stored answer in the form that this call asked for."""
    sent = {
        "Content-Type": JSON,
        PROVIDER: entry.provider,
        "x-valuecanvas-cache": "hit",
        **headers.plan_headers(plan),
    }
    if not plan.shape.stream:
        sent[COST] = money.text(0)
        return Stored(200, sent, entry.body)
    sent |= EVENTS
    return Stored(200, sent, b"".join(events_of(call, plan, entry)))


def usage_of(used: TokenUse) -> dict[str, int]:
    """The tokens in the form of providers, for one that sent none."""
    return {
        "prompt_tokens": used.prompt,
        "completion_tokens": used.completion,
        "total_tokens": used.prompt + used.completion,
    }


def tokens_of(entry: Entry) -> TokenUse:
    return TokenUse(entry.prompt_tokens, entry.completion_tokens, entry.cached_tokens)


def events_of(call: Call, plan: Plan, entry: Entry) -> list[bytes]:
    """A stored answer as the events of a stream; a Response is stored as such."""
    if call.endpoint == "responses":
        return [with_cost(entry.body, 0)]
    events = replay.events(
        entry.body,
        include_usage=plan.shape.include_usage,
        usage=usage_of(tokens_of(entry)),
    )
    return [*events, with_cost(DONE, 0)]


def cache_hit_reply(found: CacheHit) -> Reply:
    """The reply to a cache hit."""
    call, plan, entry = found.call, found.plan, found.entry
    answer = from_entry(call, plan, entry)
    sent = {
        **headers.quota_headers(found.admitted),
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
        tokens=tokens_of(entry),
        latency_ms=int((time.monotonic() - call.started) * 1000),
        ttft_ms=None,
        attempts=0,
        epoch=plan.epoch,
    )
    return Reply(200, sent, answer.body, summary)


def replay_reply(found: ReplayedCall) -> Reply:
    """The reply to a repeated idempotency key: the first answer again."""
    stored, bill = found.stored, found.bill
    sent = {
        **stored.headers,
        "Idempotent-Replayed": "true",
        "x-valuecanvas-original-request-id": found.request_id,
    }
    cost = 0 if bill is None else money.to_micros(bill.cost_usd)
    body = stored.body
    if bill is not None:
        # A bill above the reservation was charged only in part.
        if COST in sent:
            sent[COST] = money.text(cost)
        else:
            body = _at_cost(body, cost)
    return Reply(stored.status, sent, body, _summary(found, cost))


def _at_cost(events: bytes, micros: int) -> bytes:
    """The stream with the charged cost in its comment, if it has one."""
    before, mark, after = events.rpartition(f"\n: {COST}=".encode())
    if not mark:
        return events
    _, end, rest = after.partition(b"\n")
    return b"%b%b%b%b%b" % (before, mark, money.text(micros).encode(), end, rest)


def _summary(found: ReplayedCall, cost: int) -> Summary:
    bill = found.bill or Usage(epoch=0)
    return Summary(
        request_id=found.request_id,
        provider=bill.provider or found.stored.headers.get(PROVIDER, ""),
        model=bill.model,
        upstream_model=bill.upstream_model,
        cost=cost,
        cached=bill.cached,
        tokens=TokenUse(bill.prompt_tokens, bill.completion_tokens, bill.cached_tokens),
        latency_ms=bill.latency_ms,
        ttft_ms=bill.ttft_ms,
        attempts=bill.attempts,
        epoch=bill.epoch,
    )
