"""Checks of the work that goes on: providers, jobs, periodic tasks, backups, books."""

import datetime as dt

from django.conf import settings
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from billing.alerts import alert_events
from billing.models import AlertRule, LedgerCheck
from llm.alerts.breaker_alerts import find_open_breakers, find_refused_keys
from llm.alerts.error_rate import count_failures, find_error_rates
from llm.breaker import report
from llm.chaos import chaos_runs
from llm.jobs.metrics import count_jobs, live_workers, oldest_seconds
from llm.models import JobState
from llm.models.job_queue import RECURRING_TASK
from valuecanvas.backups import history
from valuecanvas.core.templatetags.figures import ago
from valuecanvas.site import attention
from valuecanvas.site.backup_alerts import find_missing_backup
from valuecanvas.status.types import HealthFinding, HealthState, judge_figure

# The beat writes down what has run only every few minutes.
OVERDUE = dt.timedelta(minutes=10)
LONG_WAIT_S = 300
MINUTES = 15


def check_providers() -> HealthFinding:
    """Circuit breakers, and keys that providers refuse."""
    rule = AlertRule()
    known = len(report.states())
    texts = [one.summary for one in find_refused_keys(rule)]
    texts += [one.summary for one in find_open_breakers(rule)]
    if not texts:
        figure = f"all {known} breakers are closed" if known else "no route is enabled"
        return HealthFinding(HealthState.OK, figure)
    state = HealthState.FAILING if len(texts) >= known else HealthState.WARNING
    return HealthFinding(state, " ".join(texts[:3]), "See Circuit breakers: a probe closes one once its provider answers.")  # fmt: skip


def check_errors() -> HealthFinding:
    """The requests that failed lately, judged as an alert rule with its usual limits."""
    rule = AlertRule(window_minutes=MINUTES)
    failed, ended = count_failures(rule)
    figure = f"{failed:,} of {ended:,} requests failed in {MINUTES} minutes"
    return judge_figure(
        figure, (bool([*find_error_rates(rule)]), "See which requests failed, and why.")
    )


def check_queue() -> HealthFinding:
    """Jobs that wait, dead letters and workers."""
    now, counts, workers = timezone.now(), count_jobs(), live_workers(timezone.now())
    queued = sum(one.count for one in counts if one.state == JobState.QUEUED)
    dead = sum(one.count for one in counts if one.state == JobState.DEAD)
    waits_s = oldest_seconds(now)
    figure = f"{queued:,} queued, the oldest for {waits_s:,.0f} s; {dead:,} dead letters; {len(workers)} workers"
    if queued and not workers:
        return HealthFinding(HealthState.FAILING, figure, "Start a worker: `celery -A valuecanvas worker`.")  # fmt: skip
    return judge_figure(
        figure,
        (not workers, "No worker runs: no job and no periodic task is done."),
        (waits_s > LONG_WAIT_S, "Jobs wait long: start more workers, or see what they wait for."),
        (bool(dead), "See why they failed; then retry or delete them."),
    )  # fmt: skip


def check_beat() -> HealthFinding:
    """Whether periodic tasks are sent when they are due."""
    now = timezone.now()
    rows = PeriodicTask.objects.filter(enabled=True).exclude(task=RECURRING_TASK)
    schedules = ("interval", "crontab", "solar", "clocked")
    rows = list(rows.select_related(*schedules).order_by("name"))
    last = max((one.last_run_at for one in rows if one.last_run_at), default=None)
    overdue = [one.name for one in rows if _is_overdue(one)]
    figure = f"last task {ago(last)}" if last else "no task was sent yet"
    if not overdue:
        return HealthFinding(HealthState.OK, f"{figure}; {len(rows)} are on")
    figure += f"; overdue: {', '.join(overdue[:3])}"
    if last is None or now - last > OVERDUE:
        return HealthFinding(HealthState.FAILING, figure, "Start the beat: `celery -A valuecanvas beat`.")  # fmt: skip
    return HealthFinding(HealthState.WARNING, figure, "Run it by hand in Periodic tasks, and see the beat's log.")  # fmt: skip


def _is_overdue(task: PeriodicTask) -> bool:
    since = task.last_run_at or task.date_changed
    due_in: dt.timedelta = task.schedule.remaining_estimate(since)
    return due_in < -OVERDUE


def check_backups() -> HealthFinding:
    """Whether there is a fresh verified backup, as the alert rule for it judges."""
    found, last = history.status(), history.last()
    if [*find_missing_backup(AlertRule())]:
        return HealthFinding(HealthState.FAILING, found.text, "Make one under Backups, and see why the nightly one is missing.")  # fmt: skip
    return judge_figure(
        found.text,
        (last is not None and history.has_failed(last), "The last one failed: see Backups."),
        (not found.ok, "The first one is made tonight, or now under Backups."),
    )  # fmt: skip


def check_ledger() -> HealthFinding:
    """What the last check of the books found."""
    last = LedgerCheck.objects.first()
    if last is None:
        return HealthFinding(HealthState.UNKNOWN, "not checked yet", "A worker checks every hour.")  # fmt: skip
    figure = f"checked {ago(last.finished_at)}"
    if not last.ok:
        return HealthFinding(HealthState.FAILING, f"drift; {figure}", "See the rows in Ledger health, and tell the administrator of the database.")  # fmt: skip
    return judge_figure(
        f"no drift; {figure}",
        (
            last.stale,
            "The hourly check is overdue: see that a worker and the beat run.",
        ),
    )


def check_alerts() -> HealthFinding:
    """Alerts that fire now."""
    texts = [one.summary for one in alert_events.find_firing()[:3]]
    count = alert_events.find_firing().count()
    figure = f"{count} fire: {' '.join(texts)}" if count else "none fires"
    return judge_figure(figure, (bool(count), "Each alert has a link to its cause."))


def check_models() -> HealthFinding:
    """Enabled models that no request can use."""
    texts = [one.text for one in attention.models_without_route()]
    figure = " ".join(texts[:3]) or "every enabled model has a route"
    return judge_figure(figure, (bool(texts), "Enable a route, or disable the model."))


def check_chaos() -> HealthFinding | None:
    """Experiments and drills that inject faults now; None where chaos is off."""
    if not settings.CHAOS_ENABLED:
        return None
    names = [one.name for one in chaos_runs.active()]
    figure = f"active: {', '.join(names)}" if names else "no run is active"
    return judge_figure(figure, (bool(names), "Stop all with `manage.py chaos stop --all`."))  # fmt: skip
