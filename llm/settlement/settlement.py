"""Settles requests: charges them in the ledger and returns their summary."""

import asyncio
import time
import uuid
from dataclasses import replace
from typing import Any

import structlog
from django.conf import settings

from billing.auth.customers import label
from billing.ledger import Charge, Ledger, Note, Settle, Settled, Stored
from llm import metrics
from llm.journal.journal import Journal
from llm.limits.limiter import Limiter
from llm.settlement.charge import charge_of, summary_of
from llm.settlement.outcome import RequestOutcome
from llm.settlement.request_log import observe
from llm.settlement.request_spans import add_upstream
from llm.types import NOTHING, AdmittedCall, Call, Plan, Summary
from llm.upstream.attempts import Attempts
from valuecanvas.core.errors import LedgerUnavailable

log = structlog.get_logger("llm.request")
# An answer waits this long for its settlement while the database is down; the
# settlement itself stays queued until it is committed.
ANSWER_WAITS_S = 5.0


def usage_facts(call: Call, plan: Plan) -> dict[str, Any]:
    """The columns of the ledger row that are known at admission."""
    known: dict[str, Any] = {
        "user_id": plan.principal.user_id,
        "model": plan.model.name,
        "endpoint": call.endpoint,
        "trace_id": call.trace_id,
        "tags": plan.party.tags,
    }
    if call.user:
        known["end_user"] = label(call.user)
    if call.job:
        known["job"] = call.job
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


class Settlement:
    """Ends reservations, in the ledger and in the journal."""

    def __init__(self, ledger: Ledger, journal: Journal, limiter: Limiter) -> None:
        self._ledger = ledger
        self._journal = journal
        self._limiter = limiter

    async def settle(
        self,
        attempts: Attempts,
        outcome: RequestOutcome,
        answer: Stored | None = None,
        *,
        wait: bool = True,
    ) -> Summary:
        """End the reservation of a request, billed or refunded. Never raises.

        The settlement is queued at once and is not cancelled with its caller. Without
        `answer` the request's idempotency key is free again.
        """
        begun = time.monotonic()
        answer = limit_answer(answer)
        held = attempts.held
        charge = charge_of(attempts, outcome)
        item = Settle(
            held.admitted,
            usage_facts(held.call, held.plan),
            held.plan.epoch,
            charge,
            held.claim,
            answer,
        )
        cost = charge.cost
        queued = self._queue(held, item)
        if wait:
            # Unlike wait_for, this leaves the settlement alone if we are cancelled.
            await asyncio.wait((queued,), timeout=ANSWER_WAITS_S)
            if _is_committed(queued):
                settled: Settled = queued.result()
                # If an earlier try was committed, and its answer lost, that one counts.
                cost = settled.cost if settled.first else charge.cost
            else:
                log.warning("request.unsettled", request_id=str(held.call.id))
        self._correct_limits(held, charge)
        fault = outcome.callers_fault
        observe(held.call, held.plan, charge, cost, callers_fault=fault)
        add_upstream(attempts, outcome, charge, begun)
        return summary_of(attempts, outcome, charge, cost)

    def _correct_limits(self, held: AdmittedCall, charge: Charge) -> None:
        """Correct the minute limits by what the request really used."""
        if held.minute_use is None:
            return
        used: int | None = charge.prompt_tokens + charge.completion_tokens
        if charge.cached:
            used = 0
        self._limiter.give_back_soon(
            held.minute_use, used_tokens=None if charge.refund else used
        )

    async def release(self, held: AdmittedCall) -> None:
        """End a reservation without a trace: no row, no unit, no money."""
        if held.minute_use is not None:
            self._limiter.give_back_soon(held.minute_use, used_tokens=None)
        item = Settle(held.admitted, {}, held.plan.epoch, None, held.claim)
        queued = self._queue(held, item)
        await asyncio.wait((queued,), timeout=ANSWER_WAITS_S)
        if not _is_committed(queued):
            raise LedgerUnavailable

    def add_row(self, held: AdmittedCall, outcome: RequestOutcome) -> None:
        """Add a row for a request that was released, started again and refused."""
        charge = charge_of(Attempts(held), outcome)
        known = usage_facts(held.call, held.plan)
        self._ledger.submit(Note(held.admitted, known, held.plan.epoch, charge))

    def _queue(self, held: AdmittedCall, item: Settle) -> "asyncio.Future[Any]":
        queued = self._ledger.submit(item)
        queued.add_done_callback(lambda done: self._forget(held.call.id, done))
        return queued

    def _forget(self, request_id: uuid.UUID, settled: asyncio.Future[Any]) -> None:
        """Remove a committed request from the journal."""
        if _is_committed(settled):
            self._journal.forget(request_id)


def _is_committed(settled: "asyncio.Future[Any]") -> bool:
    """Whether the settlement is committed."""
    done = settled.done() and not settled.cancelled()
    return done and settled.exception() is None


def limit_answer(answer: Stored | None) -> Stored | None:
    """The answer to keep for an idempotency key: without a body that is too large."""
    most = settings.LLM_IDEMPOTENCY_MAX_BYTES
    if answer is None or len(answer.body) <= most:
        return answer
    metrics.ANSWERS_UNKEPT.inc()
    log.info("answer.not_kept", bytes=len(answer.body))
    return replace(answer, body=b"", kept=False)
