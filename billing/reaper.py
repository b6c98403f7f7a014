"""Ends reservations whose process died: billed by what is known, never silently free."""

from typing import Any

import psycopg
import structlog
from django.utils import timezone

from billing.ledger import Admitted, Charge, Party, Settle, commit_now
from billing.models import Reservation
from valuecanvas.core import money

log = structlog.get_logger("billing.reaper")
AT_A_TIME = 500


def reap() -> int:
    """Settle every reservation past its lease; how many this call ended.

    The prompt was sent, so it is billed at its estimate and marked `estimated`; what
    was answered is unknown. Who settles the same reservation at the same time is
    harmless: one of the two finds it gone.
    """
    ended = 0
    while True:
        overdue = list(
            Reservation.objects.filter(lease_until__lt=timezone.now())
            .order_by("lease_until")[:AT_A_TIME]
        )  # fmt: skip
        if not overdue:
            return ended
        now_ended = _end([_settlement(row) for row in overdue])
        ended += now_ended
        if len(overdue) < AT_A_TIME or not now_ended:
            return ended


def _end(settlements: list[Settle]) -> int:
    """Commit; how many were still open. One bad row must not keep the others."""
    try:
        answers = commit_now(settlements)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(settlements) > 1:
            return sum(_end([one]) for one in settlements)
        held = str(settlements[0].admitted.id)
        log.error("reservation.stuck", id=held, error=str(error).split("\n")[0])
        return 0
    return sum(1 for answer in answers if getattr(answer, "first", False))


def _settlement(row: Reservation) -> Settle:
    facts: dict[str, Any] = row.facts
    # Another release may have written them: what is missing costs the whole estimate.
    prompt, rate = facts.get("prompt_tokens", 0), facts.get("input_rate")
    cost = row.estimate if rate is None else money.round_cost(prompt * rate)
    elapsed = timezone.now() - row.created_at
    columns = ("user_id", "model", "endpoint", "trace_id")
    return Settle(
        admitted=Admitted(
            id=row.id,
            party=Party(row.customer_id, row.team, row.key),
            day=row.day,
            at=row.created_at,
            estimate=row.estimate,
            used=0,
            quota=0,
            limits=(),
        ),
        facts={name: facts.get(name, "") for name in columns},
        epoch=row.epoch,
        charge=Charge(
            cost=min(cost, row.estimate),
            provider_cost=cost,
            prompt_tokens=prompt,
            provider=facts.get("provider", ""),
            upstream_model=facts.get("upstream_model", ""),
            status="abandoned",
            error_code="process_died",
            latency_ms=int(elapsed.total_seconds() * 1000),
            source="reaper",
            marks=("estimated",),
        ),
    )
