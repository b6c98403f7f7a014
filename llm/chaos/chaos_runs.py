"""Starts and stops runs of experiments and of drills."""

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Least, Now

from llm import metrics
from llm.chaos import checks
from llm.chaos.plan import FaultPlan, read_plan, write_plan
from llm.chaos.steady_state import limits_of
from llm.models import ChaosExperiment, ChaosRun
from llm.models.chaos import ACTIVE, LONGEST_NAME, PROVIDER_FAULTS, RunState
from valuecanvas.core.audit import audit_context
from valuecanvas.core.db import locks

log = structlog.get_logger("llm.chaos")
LOCK = "llm.chaos.start"
LONGEST_REASON = 500
KEEP = dt.timedelta(days=90)
Person = User | AnonymousUser | None


class RunRefused(ValueError):
    """The run may not start: the message says why, and what to do."""


def start(experiment: ChaosExperiment, *, by: Person, reason: str = "") -> ChaosRun:
    """Start a run of the experiment: a controller takes it up within a second or two.

    Raises RunRefused.
    """
    _refuse(checks.check_person(by) or checks.check_forbidden())
    _refuse(checks.check_experiment(experiment))
    plan = read_plan(write_plan(experiment))
    _refuse(checks.check_blast_radius(plan, experiment.blast_percent))
    return _create(
        plan,
        by=by,
        reason=reason,
        ttl_s=experiment.ttl_s,
        experiment=experiment,
        name=experiment.name,
        limits=limits_of(experiment),
        state=RunState.CHECKING,
    )


def start_plan(
    name: str, plan: FaultPlan, *, by: Person, ttl_s: int, is_drill: bool
) -> ChaosRun:
    """Start a run that its caller controls: it injects at once, while `renew` is called.

    Raises RunRefused.
    """
    _refuse(checks.check_person(by) or checks.check_forbidden())
    _refuse(checks.check_ttl(ttl_s))
    # A drill's own caller is nobody's customer.
    is_own = is_drill and bool(plan.conditions)
    if plan.fault in PROVIDER_FAULTS and not is_own:
        _refuse(checks.check_blast_radius(plan, Decimal(100)))
    return _create(
        plan,
        by=by,
        reason="",
        ttl_s=ttl_s,
        name=name,
        is_drill=is_drill,
        state=RunState.RUNNING,
    )


def renew(pk: uuid.UUID) -> bool:
    """Have the faults of a run go on for CHAOS_LEASE_S; whether it still runs."""
    rows = ChaosRun.objects.filter(pk=pk, state=RunState.RUNNING, ends_at__gt=Now())
    return bool(rows.update(lease_until=Now() + _lease()))


def keep(pk: uuid.UUID) -> None:
    """Tell that an active run without faults is looked after."""
    rows = ChaosRun.objects.filter(pk=pk, state__in=ACTIVE)
    rows.update(lease_until=Now() + _lease())


def move(
    pk: uuid.UUID,
    before: RunState,
    after: RunState,
    *,
    reason: str = "",
    **columns: Any,
) -> bool:
    """Put an active run into another state. False: it is not in the state `before`."""
    rows = ChaosRun.objects.filter(pk=pk, state=before)
    columns |= {"lease_until": Now() + _lease(), "reason": reason[:LONGEST_REASON]}
    return bool(rows.update(state=after, **columns) and report(pk, after, reason))


def abort(pk: uuid.UUID, reason: str) -> bool:
    """End the faults of a run for its limits. Its recovery is still watched."""
    ends = Least("ends_at", Now())
    return move(
        pk,
        RunState.RUNNING,
        RunState.RECOVERING,
        reason=reason,
        verdict="failed",
        ends_at=ends,
    )


def record_refusal(
    name: str, reason: str, *, by: User | None, experiment: ChaosExperiment | None
) -> None:
    """Keep why a start by schedule was refused: nobody saw it. No experiment: a drill."""
    run = ChaosRun.objects.create(
        experiment=experiment,
        name=name[:LONGEST_NAME],
        is_drill=experiment is None,
        plan=write_plan(experiment) if experiment else {},
        state=RunState.REFUSED,
        started_by=by,
        started_at=Now(),
        ends_at=Now(),
        ended_at=Now(),
        reason=reason[:LONGEST_REASON],
    )
    report(run.pk, RunState.REFUSED, reason)


def stop(run: ChaosRun, *, by: Person, reason: str) -> bool:
    """Stop a run: no fault is injected after CHAOS_POLL_S. Whether it was active."""
    return bool(_stop(ChaosRun.objects.filter(pk=run.pk), by, reason))


def stop_all(*, by: Person, reason: str) -> int:
    """Stop every run, of experiments and drills. Returns how many were active."""
    return _stop(ChaosRun.objects.all(), by, reason)


def finish(
    pk: uuid.UUID,
    state: RunState,
    *,
    reason: str = "",
    verdict: str = "",
    findings: Iterable[Mapping[str, Any]] = (),
) -> bool:
    """End an active run with its report. False: somebody has ended it before."""
    return bool(
        ChaosRun.objects.filter(pk=pk, state__in=ACTIVE).update(
            state=state,
            reason=reason[:LONGEST_REASON],
            verdict=verdict,
            findings=[dict(one) for one in findings],
            **_ended(),
        )
        and report(pk, state, reason)
    )


def active() -> list[ChaosRun]:
    """The runs that have not ended, the oldest first."""
    rows = ChaosRun.objects.filter(state__in=ACTIVE).select_related("started_by")
    return list(rows.order_by("started_at"))


def report(pk: uuid.UUID, state: RunState, reason: str = "") -> bool:
    """Tell logs and metrics of a run's new state."""
    name = ChaosRun.objects.values_list("name", flat=True).get(pk=pk)
    log.warning("chaos.run", run=str(pk), name=name, state=state.value, reason=reason)
    metrics.CHAOS_RUNS.labels(state.value).inc()
    return True


def purge() -> int:
    """Delete the runs that ended more than 90 days ago. Returns how many."""
    rows = ChaosRun.objects.filter(started_at__lt=Now() - KEEP)
    return rows.exclude(state__in=ACTIVE).delete()[0]


def _create(plan: FaultPlan, *, ttl_s: int, reason: str, **columns: Any) -> ChaosRun:
    """The row of a run, if no other is on its target. Raises RunRefused."""
    audit_context.explain(reason)
    with transaction.atomic():
        locks.hold(LOCK)
        others = [(one, read_plan(one.plan)) for one in active()]
        _refuse(checks.check_overlap(plan, others))
        by = columns.pop("by")
        run = ChaosRun.objects.create(
            plan=write_plan(plan),
            started_by=by,
            started_at=Now(),
            ends_at=Now() + dt.timedelta(seconds=ttl_s),
            lease_until=Now() + _lease(),
            **columns,
        )
    run.refresh_from_db()
    report(run.pk, RunState(run.state), reason)
    return run


def _stop(rows: "QuerySet[ChaosRun]", by: Person, reason: str) -> int:
    person = by if isinstance(by, User) else None
    audit_context.explain(reason)
    with transaction.atomic():
        found = list(
            rows.filter(state__in=ACTIVE)
            .select_for_update()
            .values_list("pk", flat=True)
        )
        ChaosRun.objects.filter(pk__in=found).update(
            state=RunState.STOPPED,
            stopped_by=person,
            reason=reason[:LONGEST_REASON],
            **_ended(),
        )
    for pk in found:
        report(pk, RunState.STOPPED, reason)
    return len(found)


def _ended() -> dict[str, Any]:
    """The columns of a run that ends now: its faults end too, if they have not."""
    return {"ended_at": Now(), "ends_at": Least("ends_at", Now()), "lease_until": Now()}


def _lease() -> dt.timedelta:
    return dt.timedelta(seconds=settings.CHAOS_LEASE_S)


def _refuse(why: str) -> None:
    if why:
        raise RunRefused(why)
