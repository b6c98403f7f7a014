"""Ends reservations whose process died: billed by what is known, never silently free."""

from typing import Any

from django.utils import timezone

from billing.ledger import Admitted, Charge, Party, Settle, commit_now
from billing.models import Reservation
from valuecanvas.core import money

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
        answers = commit_now([_settlement(row) for row in overdue])
        ended += sum(1 for answer in answers if getattr(answer, "first", False))
        if len(overdue) < AT_A_TIME:
            return ended


def _settlement(row: Reservation) -> Settle:
    facts: dict[str, Any] = row.facts
    prompt = int(facts["prompt_tokens"])
    cost = money.round_cost(prompt * int(facts["input_rate"]))
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
        facts={name: facts[name] for name in columns},
        epoch=row.epoch,
        charge=Charge(
            cost=min(cost, row.estimate),
            provider_cost=cost,
            prompt_tokens=prompt,
            provider=facts["provider"],
            upstream_model=facts["upstream_model"],
            status="abandoned",
            error_code="process_died",
            latency_ms=int(elapsed.total_seconds() * 1000),
            source="reaper",
            marks=("estimated",),
        ),
    )
