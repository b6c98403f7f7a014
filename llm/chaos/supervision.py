"""Takes a run a step further: check, watch, abort, recovery, report."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict
from math import sqrt
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.utils.dateparse import parse_datetime

from llm.chaos import chaos_runs, chaos_windows, steady_state
from llm.chaos.plan import FaultPlan, read_plan
from llm.chaos.steady_state import LEAST_REQUESTS, WINDOW, Measurement, RunFinding
from llm.models import ChaosRun
from llm.models.chaos import RunState

# So long after its last lease a run is given up.
LOST_AFTER = dt.timedelta(seconds=60)
RECOVERY_LEAST = dt.timedelta(seconds=10)
RECOVERY_MOST = dt.timedelta(seconds=60)
# Requests are in the ledger so long after their answer, at most as a rule.
SETTLED_AFTER = dt.timedelta(seconds=1)
SAMPLE_S = 2
# Of one run: a long one has them further apart.
MOST_SAMPLES = 300
UNMEASURED = (
    "The steady state could not be measured: the database did not answer in time."
)


def advance(run: ChaosRun, now: dt.datetime) -> None:
    """Do what is to be done with an active run at `now`. Raises DatabaseError."""
    if run.lease_until is None or now - run.lease_until > LOST_AFTER:
        chaos_runs.finish(
            run.pk,
            RunState.LOST,
            verdict="failed",
            reason="Nobody has controlled it for a minute: its faults had ended by themselves.",
        )
    elif not run.is_drill:
        steps = {
            RunState.CHECKING: _check,
            RunState.RUNNING: _watch,
            RunState.RECOVERING: _recover,
        }
        steps[RunState(run.state)](run, read_plan(run.plan), now)


def _check(run: ChaosRun, plan: FaultPlan, now: dt.datetime) -> None:
    """Begin if the steady state holds; refuse if it does not, or nobody can tell."""
    why = chaos_windows.why_forbidden()
    found, rows = Measurement(), []
    if not why:
        try:
            found = steady_state.measure_now(plan, now)
            run.samples = _samples_before(run, plan, now)
        except DatabaseError:
            why = UNMEASURED
    limits = steady_state.read_limits(run.limits)
    if not why:
        rows = _write(steady_state.judge(found, limits), "Before: ")
        broken = " ".join(steady_state.breaches(found, limits))
        why = (
            steady_state.why_not_judged(found)
            if not broken
            else (f"There is no steady state to begin with. {broken}")
        )
    if why:
        chaos_runs.finish(run.pk, RunState.REFUSED, reason=why, findings=rows)
        return
    columns = {"samples": run.samples, "findings": rows}
    chaos_runs.move(run.pk, RunState.CHECKING, RunState.RUNNING, **columns)


def _watch(run: ChaosRun, plan: FaultPlan, now: dt.datetime) -> None:
    """Renew the faults' lease, or end them: by time, or since a limit is broken."""
    if now >= run.ends_at:
        chaos_runs.move(run.pk, RunState.RUNNING, RunState.RECOVERING)
        return
    why = chaos_windows.why_forbidden()
    if not why:
        try:
            why = _broken(run, plan, now)
            _sample(run, plan, now)
        except DatabaseError:
            # What nobody sees is not allowed to go on.
            why = UNMEASURED
    if why:
        chaos_runs.abort(run.pk, why)
    else:
        chaos_runs.renew(run.pk)


def _broken(run: ChaosRun, plan: FaultPlan, now: dt.datetime) -> str:
    """Which limits are broken since the faults began, in the last seconds; '': none."""
    since = max(_begun(run), now - WINDOW)
    found = steady_state.measure(plan, since, now)
    limits = steady_state.read_limits(run.limits)
    broken = steady_state.breaches(found, limits)
    return " ".join(broken) or _too_wide(run, since, now)


def _too_wide(run: ChaosRun, since: dt.datetime, now: dt.datetime) -> str:
    """Whether the faults meet more of all requests than they may."""
    most = float(run.limits["blast_percent"])
    if settings.PRODUCTION:
        most = min(most, settings.CHAOS_MOST_PERCENT)
    recent = [one for one in run.samples if _time(one) > since]
    injected = sum(one["injected"] for one in recent) + _not_sampled(run)
    requests = max(steady_state.count_requests(since, now), LEAST_REQUESTS)
    share = most / 100
    # Three standard deviations: faults are drawn by chance.
    chance = 3 * sqrt(share * requests * (1 - share))
    if injected <= share * requests + chance:
        return ""
    return (
        f"blast_percent: {injected:,} faults for {requests:,} requests of everybody, and "
        f"{most:g}% are allowed."
    )


def _recover(run: ChaosRun, plan: FaultPlan, now: dt.datetime) -> None:
    """Watch until the steady state is back, for a minute at most; then write the report."""
    since, length = run.ends_at + SETTLED_AFTER, now - run.ends_at
    _sample(run, plan, now)
    chaos_runs.keep(run.pk)
    if length < RECOVERY_LEAST:
        return
    limits = steady_state.read_limits(run.limits)
    found = steady_state.measure(plan, max(since, now - RECOVERY_LEAST), now)
    if not found.enough:
        found = steady_state.measure(plan, since, now)
    broken = steady_state.breaches(found, limits)
    if (found.enough and not broken) or length >= RECOVERY_MOST:
        holds = not broken if broken or found.enough else None
        seen = f"after {length.seconds} s" if holds else " ".join(broken)
        row = RunFinding(
            "The steady state is back a minute after the faults",
            seen or f"{found.requests} requests: too few to judge",
            holds,
        )
        _conclude(run, plan, row)


def _conclude(run: ChaosRun, plan: FaultPlan, recovery: RunFinding) -> None:
    """Write the report of a run that has ended."""
    limits = steady_state.read_limits(run.limits)
    during = steady_state.measure(plan, _begun(run), run.ends_at + SETTLED_AFTER)
    met = RunFinding(
        "Faults are injected",
        f"{run.injected:,} faults, and {during.requests:,} requests of those it may meet",
        True if run.injected else None,
    )
    seen = [*steady_state.judge(during, limits), met, recovery]
    rows = [*run.findings, *_write(seen)]
    if run.verdict:
        chaos_runs.finish(
            run.pk,
            RunState.ABORTED,
            reason=run.reason,
            verdict=run.verdict,
            findings=rows,
        )
        return
    open_points = [one for one in seen if one.holds is None]
    verdict = "failed" if any(one.holds is False for one in seen) else "passed"
    reason = ""
    if verdict == "passed" and open_points:
        verdict = ""
        reason = f"It proves nothing. {open_points[0].expected}: {open_points[0].seen}."
    chaos_runs.finish(
        run.pk, RunState.COMPLETED, reason=reason, verdict=verdict, findings=rows
    )


def _samples_before(
    run: ChaosRun, plan: FaultPlan, now: dt.datetime
) -> list[dict[str, Any]]:
    """The samples of the last WINDOW before the run."""
    step = _step(run)
    ends = [now - step * number for number in range(int(WINDOW / step) - 1, -1, -1)]
    return [
        _point(steady_state.measure(plan, at - step, at), at, "before", 0)
        for at in ends
    ]


def _sample(run: ChaosRun, plan: FaultPlan, now: dt.datetime) -> None:
    """Add a point to the charts if it is time."""
    since, at = _time(run.samples[-1]), now - SETTLED_AFTER
    if at - since < _step(run):
        return
    phase = "during" if at <= run.ends_at else "after"
    found = steady_state.measure(plan, since, at)
    run.samples.append(_point(found, at, phase, _not_sampled(run)))
    ChaosRun.objects.filter(pk=run.pk).update(samples=run.samples)


def _step(run: ChaosRun) -> dt.timedelta:
    planned = (run.ends_at - run.started_at).total_seconds()
    return dt.timedelta(seconds=max(SAMPLE_S, planned / MOST_SAMPLES))


def _point(
    found: Measurement, at: dt.datetime, phase: str, injected: int
) -> dict[str, Any]:
    return {
        "at": at.isoformat(),
        "phase": phase,
        "requests": found.requests,
        "errors": found.errors,
        "p95_ms": found.p95_ms,
        "cost_usd": None if found.cost_usd is None else float(found.cost_usd),
        "injected": injected,
    }


def _not_sampled(run: ChaosRun) -> int:
    """Faults that are in no sample yet."""
    sampled = sum(int(one["injected"]) for one in run.samples)
    return max(0, run.injected - sampled)


def _begun(run: ChaosRun) -> dt.datetime:
    """When the faults began: with the last sample before them."""
    return max(
        (_time(one) for one in run.samples if one["phase"] == "before"),
        default=run.started_at,
    )


def _time(sample: Mapping[str, Any]) -> dt.datetime:
    found = parse_datetime(sample["at"])
    if found is None:
        raise ValueError(f"'{sample['at']}' is no time.")
    return found


def _write(findings: list[RunFinding], before: str = "") -> list[dict[str, Any]]:
    """As the row of a run has them."""
    return [{**asdict(one), "expected": f"{before}{one.expected}"} for one in findings]
