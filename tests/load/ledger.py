"""Reads the ledger after a run, in Django's shell: what was billed, and whether it balances."""

from __future__ import annotations

from django.db.models import Avg, Count, Q

from billing.accounting import reconcile
from billing.models import Reservation, Usage
from tests import invariants
from tests.load.books import Books


def read() -> Books:
    """The figures of this process's database."""
    answered = Usage.objects.filter(status="ok")
    figures = answered.aggregate(
        rows=Count("id"),
        cached=Count("id", filter=Q(cached=True)),
        cost=Avg("cost_usd"),
        jobs=Count("job", distinct=True, filter=~Q(job="")),
        job_rows=Count("id", filter=~Q(job="")),
    )
    return Books(
        usage_rows=figures["rows"],
        cached_rows=figures["cached"],
        cost_usd=float(figures["cost"] or 0),
        jobs=figures["jobs"],
        job_rows=figures["job_rows"],
        reservations=Reservation.objects.count(),
        drifting=len(invariants.drift()),
        reconciled=reconcile.run("command", None).ok,
    )
