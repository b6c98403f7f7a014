"""What an answered request came to, and its one place in the ledger."""

import asyncio
import time
import uuid
from dataclasses import dataclass, replace
from typing import Any

import structlog
from django.conf import settings

from billing.auth.customers import label
from billing.ledger import Charge, Ledger, Note, Settle, Settled, Stored
from llm import metrics
from llm.cache.entry import Entry, Form
from llm.journal.journal import Journal
from llm.limits.limiter import Limiter
from llm.metering import provider_usage, tokens
from llm.metering.prompt_text import MOST_BYTES, least_tokens
from llm.metering.prompt_text import texts as prompt_texts
from llm.metering.provider_usage import Own
from llm.resolve.plan import most_prompt
from llm.settlement.request_log import observe
from llm.types import NOTHING, Call, Candidate, Held, Plan, Summary, Tokens
from llm.upstream.attempts import Journey
from valuecanvas.core.errors import GatewayError, LedgerUnavailable

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
    # The answer of another request, delivered to this one as well: it costs nothing.
    shared: Entry | None = None


def counted(
    held: Held,
    reported: Any,
    size: int,
    pieces: int = 0,
    texts: tuple[str, ...] = (),
) -> Tokens:
    """The tokens to bill for an answer of `size` bytes.

    It came in `pieces` events, or else it is the `texts`.
    """
    plan = held.plan
    shape, exact = plan.shape, plan.shape.token_ids * 9 // 10
    endpoint = held.call.endpoint
    prompt = Own(
        count=own_prompt(plan),
        most=max(most_prompt(shape, one) for one in plan.candidates),
        enough=shape.prompt_bytes // provider_usage.BYTES + exact,
        least=lambda: exact + least_tokens(prompt_texts(endpoint, plan.body)),
    )
    events = min(pieces, size // 4) * 9 // 10
    completion = Own(
        count=tokens.delivered(size, pieces),
        most=plan.max_output * shape.choices + shape.predicted,
        enough=max(size // provider_usage.BYTES, events),
        least=lambda: max(events, size // MOST_BYTES, least_tokens(texts)),
    )
    return provider_usage.read(reported, prompt, completion)


def own_prompt(plan: Plan) -> int:
    """Our own count of the prompt's tokens."""
    shape = plan.shape
    by_bytes, found = shape.prompt_bytes // 4, shape.counted
    by_count = by_bytes if found is None else found.texts + found.rest
    count = max(1, min(by_bytes, by_count) + shape.token_ids)
    if shape.pictures:
        each = max(tokens.picture(one.upstream_model).usual for one in plan.candidates)
        count += shape.pictures * each
    attached = shape.attached
    return count + attached.sound_usual + attached.pages * tokens.PAGE.usual


def facts(call: Call, plan: Plan) -> dict[str, Any]:
    """The columns of the ledger row that are known at admission."""
    known: dict[str, Any] = {
        "user_id": plan.principal.user_id,
        "model": plan.model.name,
        "endpoint": call.endpoint,
        "trace_id": call.trace_id,
    }
    if call.user:
        known["end_user"] = label(call.user)
    if plan.chosen is not NOTHING:
        chosen = plan.chosen
        known |= {
            "prompt_key": chosen.prompt_key,
            "prompt_version": chosen.prompt_version,
            "variant": chosen.variant,
            "subject": chosen.subject,
            "flags": dict(chosen.flags),
        }
    return known


class Settler:
    """Ends reservations, and the journal's interest in them."""

    def __init__(self, ledger: Ledger, journal: Journal, limiter: Limiter) -> None:
        self._ledger = ledger
        self._journal = journal
        self._limiter = limiter

    async def settle(
        self,
        journey: Journey,
        outcome: Outcome,
        *,
        answer: Stored | None = None,
        wait: bool = True,
    ) -> Summary:
        """End the reservation of a request, billed or refunded. Never raises.

        The settlement is queued at once and is not cancelled with its caller. Without
        `answer` the request's idempotency key is free again.
        """
        answer = keepable(answer)
        held = journey.held
        charge = _charge(journey, outcome)
        item = Settle(
            held.admitted,
            facts(held.call, held.plan),
            held.plan.epoch,
            charge,
            held.claim,
            answer,
        )
        cost = charge.cost
        queued = self._queued(held, item)
        if wait:
            # Unlike wait_for, this leaves the settlement alone if we are cancelled.
            await asyncio.wait((queued,), timeout=ANSWER_WAITS_S)
            if _landed(queued):
                settled: Settled = queued.result()
                # Committed before, in a try whose answer was lost: as it was charged.
                cost = settled.cost if settled.first else charge.cost
            else:
                log.warning("request.unsettled", request_id=str(held.call.id))
        self._uncount(held, charge)
        observe(held.call, held.plan, charge, cost)
        return _summary(journey, outcome, charge, cost)

    def _uncount(self, held: Held, charge: Charge) -> None:
        """Correct the minute limits by what the request really took."""
        if held.taken is None:
            return
        used: int | None = charge.prompt_tokens + charge.completion_tokens
        if charge.cached:
            used = 0
        self._limiter.give_back_soon(
            held.taken, used_tokens=None if charge.refund else used
        )

    async def give_back(self, held: Held) -> None:
        """End a reservation as if it had never been: no row, no unit, no money."""
        if held.taken is not None:
            self._limiter.give_back_soon(held.taken, used_tokens=None)
        item = Settle(held.admitted, {}, held.plan.epoch, None, held.claim)
        queued = self._queued(held, item)
        await asyncio.wait((queued,), timeout=ANSWER_WAITS_S)
        if not _landed(queued):
            raise LedgerUnavailable

    def note(self, held: Held, outcome: Outcome) -> None:
        """Leave a row of a request that was given back, asked again, and refused."""
        charge = _charge(Journey(held), outcome)
        known = facts(held.call, held.plan)
        self._ledger.submit(Note(held.admitted, known, held.plan.epoch, charge))

    def _queued(self, held: Held, item: Settle) -> "asyncio.Future[Any]":
        queued = self._ledger.submit(item)
        queued.add_done_callback(lambda done: self._heard(held.call.id, done))
        return queued

    def _heard(self, request_id: uuid.UUID, settled: asyncio.Future[Any]) -> None:
        """Committed: the journal need not know of it any more."""
        if _landed(settled):
            self._journal.forget(request_id)


def _landed(settled: "asyncio.Future[Any]") -> bool:
    """Is the settlement committed?"""
    done = settled.done() and not settled.cancelled()
    return done and settled.exception() is None


def cost_of(outcome: Outcome) -> int:
    """What the answer comes to at the price of its route, in micro-dollars."""
    if outcome.candidate is None:
        return 0
    used = outcome.tokens
    return outcome.candidate.rate.cost(
        used.prompt, used.completion, used.cached, used.written
    )


def _provider_cost(outcome: Outcome) -> int:
    """What the provider asks for the answer, in micro-dollars: at least our price."""
    claimed, candidate = outcome.tokens.claimed, outcome.candidate
    if claimed is None or candidate is None:
        return cost_of(outcome)
    return candidate.rate.cost(*claimed)


def _charge(journey: Journey, outcome: Outcome) -> Charge:
    if outcome.shared is not None:
        return _shared_charge(journey, outcome, outcome.shared)
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
        latency_ms=_elapsed_ms(journey.held),
        ttft_ms=outcome.ttft_ms,
        attempts=journey.attempts,
        source=used.source,
        marks=marks,
        refund=outcome.refund,
    )


def _shared_charge(journey: Journey, outcome: Outcome, shared: Entry) -> Charge:
    return Charge(
        prompt_tokens=shared.prompt_tokens,
        completion_tokens=shared.completion_tokens,
        cached_tokens=shared.cached_tokens,
        provider=shared.provider,
        upstream_model=shared.upstream_model,
        status=outcome.status,
        error_code=outcome.error_code,
        latency_ms=_elapsed_ms(journey.held),
        ttft_ms=outcome.ttft_ms,
        source="cache",
        marks=("coalesced",),
        cached=True,
        saved=shared.cost,
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
        cached=charge.cached,
        tokens=outcome.tokens,
        latency_ms=charge.latency_ms,
        ttft_ms=charge.ttft_ms,
        attempts=charge.attempts,
        epoch=held.plan.epoch,
    )


def entry_of(body: bytes, outcome: Outcome, form: Form = Form.ANY) -> Entry:
    """The answer as the cache keeps it."""
    candidate, used = outcome.candidate, outcome.tokens
    return Entry(
        body=body,
        at=time.time(),
        provider=candidate.provider.key if candidate else "",
        upstream_model=candidate.upstream_model if candidate else "",
        cost=cost_of(outcome),
        prompt_tokens=used.prompt,
        completion_tokens=used.completion,
        cached_tokens=used.cached,
        form=form,
    )


def keepable(answer: Stored | None) -> Stored | None:
    """`answer` as an idempotency key may keep it: without its body if that is too large."""
    most = settings.LLM_IDEMPOTENCY_MAX_BYTES
    if answer is None or len(answer.body) <= most:
        return answer
    metrics.ANSWERS_UNKEPT.inc()
    log.info("answer.not_kept", bytes=len(answer.body))
    return replace(answer, body=b"", kept=False)


def refused(error: GatewayError) -> Outcome:
    """The outcome of a request that no provider answered: quota and money go back."""
    return Outcome("error", error_code=error.code or error.type, refund=True)
