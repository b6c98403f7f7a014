"""What the checks of providers, jobs, tasks, backups and books say, from real rows."""

import datetime as dt
from typing import Any

import pytest
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from billing.models import AlertEvent, AlertRule
from billing.models.alert import AlertKind
from llm.breaker.types import BreakerState, Event, Name
from llm.chaos import chaos_runs
from llm.chaos.plan import FaultPlan
from llm.models import BreakerOverride
from tests.admin.job_rows import make_job, make_worker
from tests.admin.rows import make_backup, make_ledger_check, make_usage
from tests.fixtures_billing import make_customer, make_model, make_provider, make_route
from tests.llm.breaker.test_breaker_report import tell
from tests.llm.chaos.rows import make_superuser
from valuecanvas.status import work_checks as checks
from valuecanvas.status.types import HealthFinding, HealthState

pytestmark = pytest.mark.django_db
NOW = timezone.now()
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def own_prefix(settings: Any, prefix: str) -> None:
    settings.REDIS_PREFIX = prefix


def assert_finding(found: HealthFinding, state: str, *texts: str) -> None:
    assert (str(found.state), bool(found.remedy)) == (state, state != "ok"), found
    for text in texts:
        assert text in f"{found.figure} {found.remedy}"


def test_providers__breakers_and_keys__from_none_to_all() -> None:
    assert_finding(checks.check_providers(), "ok", "no route")
    for name in ("good", "down", "locked"):
        make_route(make_model(), make_provider(name), upstream_model="x")
    assert_finding(checks.check_providers(), "ok", "all 3 breakers are closed")
    tell(Name("down", "x"), *[Event.FAILURE] * 5)
    assert_finding(
        checks.check_providers(), "warning", "'x' at down is open: 5 failures"
    )
    tell(Name("locked", "x"), Event.AUTH)
    tell(Name("good", "x"), *[Event.FAILURE] * 5)
    assert_finding(checks.check_providers(), "failing", "locked refuses our API key")
    # What an operator has forced is meant.
    BreakerOverride.objects.create(
        provider_id="good", state=BreakerState.FORCED_OPEN, reason="by hand",
        expires_at=NOW + HOUR,
    )  # fmt: skip
    assert_finding(checks.check_providers(), "warning")


def test_errors__of_the_last_minutes__warn_as_a_rule_would() -> None:
    ann = make_customer("ann")
    for _ in range(20):
        make_usage(ann)
    assert_finding(checks.check_errors(), "ok", "0 of 20 requests failed in 15 minutes")
    for _ in range(3):
        make_usage(ann, status="error")
    assert_finding(checks.check_errors(), "warning", "3 of 23 requests failed")


def test_queue__workers_dead_letters_and_waits__are_judged() -> None:
    assert_finding(checks.check_queue(), "warning", "0 workers", "No worker runs")
    make_job(run_at=NOW - HOUR, due=True)
    assert_finding(
        checks.check_queue(), "failing", "1 queued", "celery -A valuecanvas worker"
    )
    make_worker(seen_at=NOW + HOUR)
    assert_finding(checks.check_queue(), "warning", "Jobs wait long")


def test_queue__dead_letters__are_told() -> None:
    make_worker(seen_at=NOW + HOUR)
    assert_finding(checks.check_queue(), "ok", "0 dead letters; 1 workers")
    make_job("dead", finished_at=NOW)
    assert_finding(checks.check_queue(), "warning", "1 dead letters", "retry or delete")


def test_beat__overdue_tasks__fail_if_nothing_else_ran_either() -> None:
    now = timezone.now()
    PeriodicTask.objects.all().delete()
    assert_finding(checks.check_beat(), "ok", "no task was sent yet; 0 are on")
    minute = IntervalSchedule.objects.create(every=60, period="seconds")
    nightly = CrontabSchedule.objects.create(minute="0", hour="2")
    PeriodicTask.objects.create(
        name="fresh", task="a", interval=minute, last_run_at=now
    )
    PeriodicTask.objects.create(
        name="off", task="c", interval=minute, enabled=False, last_run_at=now - HOUR
    )
    night = PeriodicTask.objects.create(
        name="night", task="b", crontab=nightly, last_run_at=now - HOUR
    )
    assert_finding(checks.check_beat(), "ok", "last task just now; 2 are on")
    PeriodicTask.objects.filter(pk=night.pk).update(last_run_at=now - 50 * HOUR)
    assert_finding(checks.check_beat(), "warning", "overdue: night")
    PeriodicTask.objects.filter(name="fresh").update(last_run_at=now - HOUR)
    assert_finding(
        checks.check_beat(), "failing", "overdue: fresh, night", "Start the beat"
    )


def test_backups__none_fresh_or_failed__are_judged() -> None:
    assert_finding(checks.check_backups(), "warning", "no verified backup", "tonight")
    MigrationRecorder.Migration.objects.update(applied=NOW - 48 * HOUR)
    assert_finding(checks.check_backups(), "failing", "no verified backup")
    make_backup()
    assert_finding(checks.check_backups(), "ok", "last verified backup just now")
    make_backup(verified=False, finished_at=NOW + HOUR)
    assert_finding(checks.check_backups(), "warning", "The last one failed")


def test_ledger__not_checked_drift_or_stale__is_judged() -> None:
    assert checks.check_ledger().state is HealthState.UNKNOWN
    old = make_ledger_check(finished_at=NOW - 5 * HOUR)
    assert_finding(checks.check_ledger(), "warning", "no drift", "overdue")
    make_ledger_check()
    assert_finding(checks.check_ledger(), "ok", "no drift; checked just now")
    old.delete()
    make_ledger_check(ok=False)
    assert_finding(checks.check_ledger(), "failing", "drift", "Ledger health")


def test_alerts_and_models__something_is_wrong__are_warnings() -> None:
    assert_finding(checks.check_alerts(), "ok", "none fires")
    assert_finding(checks.check_models(), "ok")
    rule = AlertRule.objects.create(name="fire", kind=AlertKind.DRIFT)
    AlertEvent.objects.create(rule=rule, severity="critical", summary="It burns.")
    make_model("lonely")
    assert_finding(checks.check_alerts(), "warning", "1 fire: It burns.")
    assert_finding(checks.check_models(), "warning", "'lonely' has no route")


def test_chaos__off_idle_and_active__names_the_runs(settings: Any) -> None:
    assert checks.check_chaos() is None
    settings.CHAOS_ENABLED = True
    assert_finding(checks.check_chaos(), "ok", "no run is active")
    chaos_runs.start_plan(
        "a-drill", FaultPlan("store_down"), by=make_superuser(), ttl_s=60, is_drill=True
    )
    assert_finding(checks.check_chaos(), "warning", "active: a-drill", "stop --all")
