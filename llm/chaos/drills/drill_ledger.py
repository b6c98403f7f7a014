"""What the ledger has of a drill's requests and jobs."""

import datetime as dt
import time
from collections import Counter as Tally
from collections.abc import Collection, Sequence

from django.db.models import Q, Sum

from billing.accounting import reconcile
from billing.budget_scopes import BudgetScope
from billing.models import Counter, Customer, Reservation, Usage
from flags.builtin_flags import FALLBACK
from llm.chaos.drills.drill import Evidence
from llm.models import Attempt, Job, JobState, JobWorker
from llm.models.job import OPEN

# Settling and the rows of failed attempts take a moment; reservations of a process that
# died are ended by the reaper.
SETTLED_WITHIN_S, JOBS_WITHIN_S, EVERY_S = 60.0, 300.0, 0.5
CLAIMED_WITHIN_S = 10.0


def read_quota(customer: Customer) -> int:
    """The requests that the customer ever took."""
    rows = Counter.objects.filter(
        scope=BudgetScope.CUSTOMER.letter, scope_id=str(customer.pk)
    )
    return rows.aggregate(sum=Sum("used"))["sum"] or 0


def wait_settled(customer: Customer) -> None:
    """Wait until none of the customer's requests is under way."""
    until = time.monotonic() + SETTLED_WITHIN_S
    rows = Reservation.objects.filter(customer_id=customer.pk)
    while rows.exists() and time.monotonic() < until:
        time.sleep(EVERY_S)
    # The rows of attempts are written by a batch of their own.
    time.sleep(2 * EVERY_S)


def wait_jobs(ids: Collection[str]) -> None:
    """Wait until none of the jobs is open."""
    until = time.monotonic() + JOBS_WITHIN_S
    rows = Job.objects.filter(pk__in=ids, state__in=OPEN)
    while rows.exists() and time.monotonic() < until:
        time.sleep(EVERY_S)


def find_busiest(workers: Sequence[JobWorker], ids: Collection[str]) -> JobWorker:
    """The worker that runs most of the jobs; any, if none takes one in time."""
    until = time.monotonic() + CLAIMED_WITHIN_S
    rows = Job.objects.filter(pk__in=ids, state=JobState.RUNNING)
    while time.monotonic() < until:
        counts = Tally(rows.values_list("worker", flat=True))
        busiest = max(workers, key=lambda one: counts[one.pk])
        if counts[busiest.pk]:
            return busiest
        time.sleep(EVERY_S / 10)
    return workers[0]


def add_ledger(
    evidence: Evidence, customer: Customer, since: dt.datetime, quota_before: int
) -> None:
    """Add what the ledger says, once the drill's requests are settled."""
    wait_settled(customer)
    rows = Usage.objects.filter(customer_id=customer.pk, created_at__gte=since)
    live = rows.filter(job="")
    evidence.billed = live.filter(status="ok").count()
    evidence.failed_cost = live.exclude(status="ok").filter(cost_usd__gt=0).exists()
    evidence.quota_used = read_quota(customer) - quota_before
    off = live.filter(flags__contains={FALLBACK: "off"})
    evidence.fallback_off = off.exists()
    evidence.costs = {
        str(pk): cost for pk, cost in rows.values_list("pk", "provider_cost_usd")
    }
    ids = [one.request_id for one in evidence.during if one.request_id]
    tried = Attempt.objects.filter(request_id__in=ids, provider=evidence.primary)
    evidence.tried_first = tried.values("request_id").distinct().count()
    met = Attempt.objects.filter(request_id__in=ids).exclude(injected_by="")
    evidence.met = frozenset(
        str(one) for one in met.values_list("request_id", flat=True)
    )
    evidence.drift = not reconcile.run("drill", 1).ok


def add_jobs(evidence: Evidence, ids: Collection[str]) -> None:
    """Add how the jobs ended, how many lost a worker, and how often each was charged."""
    rows = Job.objects.filter(pk__in=ids).values_list("pk", "state", "losses")
    evidence.jobs = {str(pk): state for pk, state, _ in rows}
    evidence.jobs_lost = sum(losses > 0 for _, _, losses in rows)
    bills = Usage.objects.filter(Q(cost_usd__gt=0) | Q(status="ok"), job__in=ids)
    evidence.job_bills = Tally(bills.values_list("job", flat=True))
