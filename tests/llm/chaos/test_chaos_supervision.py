"""What the controller does with a run, second by second."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from llm.chaos import chaos_runs, chaos_windows, controller, supervision
from llm.chaos.plan import FaultPlan
from llm.models import ChaosRun, Route
from llm.models.chaos import RunState
from tests.fixtures_billing import make_route
from tests.llm.chaos.rows import (
    make_experiment,
    make_requests,
    make_superuser,
    release_locks,
)
from valuecanvas.core.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def chaos(settings: Any, tmp_path: Path, db: None) -> Iterator[None]:
    settings.CHAOS_ENABLED = True
    settings.CHAOS_STOP_FILE = str(tmp_path / "chaos.stop")
    yield
    release_locks()


@pytest.fixture
def route() -> Route:
    return make_route()


def begin(route: Route, **fields: Any) -> ChaosRun:
    """A run that was checked, and injects."""
    make_requests(40, model=route.model_id, ago_s=20)
    run = chaos_runs.start(make_experiment(route, **fields), by=make_superuser())
    supervision.advance(run, timezone.now())
    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    return run


def step(run: ChaosRun, later_s: float) -> ChaosRun:
    """The run after the controller has looked at it, so much later than now."""
    run.refresh_from_db()
    supervision.advance(run, timezone.now() + dt.timedelta(seconds=later_s))
    run.refresh_from_db()
    return run


def test_check__of_a_steady_state__begins_with_its_past(route):
    make_requests(40, model=route.model_id, ago_s=20)
    run = chaos_runs.start(make_experiment(route), by=make_superuser())
    assert controller.control()
    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    assert {one["phase"] for one in run.samples} == {"before"}
    assert sum(one["requests"] for one in run.samples) == 40
    assert [one["holds"] for one in run.findings] == [True]
    entry = AuditEntry.objects.filter(object_id=str(run.pk)).latest("at")
    assert entry.actor == "chaos controller"


NO_STATE = (
    (0, 0, "There is no traffic"),
    (19, 0, "too little traffic: 19 requests"),
    (40, 4, "There is no steady state to begin with. At most 5% of the requests fail: 4 failed"),
)  # fmt: skip


@pytest.mark.parametrize(("count", "failed", "reason"), NO_STATE)
def test_check__without_a_steady_state__refuses(route, count, failed, reason):
    make_requests(count, model=route.model_id, failed=failed)
    make_requests(50, model="another")
    run = chaos_runs.start(make_experiment(route), by=make_superuser())
    run = step(run, 0)
    assert (run.state, run.verdict) == ("refused", "")
    assert reason in run.reason
    assert run.ended_at


def test_watch__of_failures__ends_the_faults_by_the_first_of_them(route):
    run = begin(route)
    make_requests(2, model=route.model_id, ago_s=0, failed=2)
    run = step(run, 1)
    assert run.state == RunState.RECOVERING
    assert "2 failed (of 2 requests; 20 are needed to judge)" in run.reason
    assert run.ends_at <= timezone.now()
    assert not chaos_runs.renew(run.pk)


def test_watch__of_one_failure_in_many__goes_on(route):
    run = begin(route)
    make_requests(40, model=route.model_id, ago_s=0, failed=1)
    before = run.lease_until
    run = step(run, 1)
    assert run.state == RunState.RUNNING
    assert run.lease_until > before


def test_recovery__of_an_aborted_run__is_watched_until_it_is_back(route):
    run = begin(route)
    make_requests(9, model=route.model_id, ago_s=0, failed=9)
    step(run, 1)
    assert step(run, 5).state == RunState.RECOVERING
    make_requests(30, model=route.model_id, ago_s=-15)
    run = step(run, 20)
    assert (run.state, run.verdict) == ("aborted", "failed")
    assert "9 failed" in run.reason
    assert run.findings[-1]["holds"] is True
    assert [one["phase"] for one in run.samples][-1] == "after"


def test_recovery__that_does_not_come__is_told_after_a_minute(route):
    run = begin(route, ttl_s=10)
    assert step(run, 11).state == RunState.RECOVERING
    make_requests(30, model=route.model_id, ago_s=-62, failed=30)
    assert step(run, 64).state == RunState.RECOVERING
    ChaosRun.objects.filter(pk=run.pk).update(
        lease_until=timezone.now() + dt.timedelta(seconds=60)
    )
    run = step(run, 72)
    assert (run.state, run.verdict) == ("completed", "failed")
    assert run.findings[-1]["holds"] is False


def finished(route: Route, requests: int, injected: int) -> ChaosRun:
    run = begin(route, ttl_s=10)
    make_requests(requests, model=route.model_id, ago_s=-2)
    ChaosRun.objects.filter(pk=run.pk).update(injected=injected)
    step(run, 5)
    assert step(run, 11).state == RunState.RECOVERING
    make_requests(30, model=route.model_id, ago_s=-15)
    return step(run, 25)


def test_end__of_a_run_within_its_limits__passes(route):
    run = finished(route, 100, 1)
    assert (run.state, run.verdict, run.reason) == ("completed", "passed", "")
    assert [one["holds"] for one in run.findings] == [True] * 4
    assert sum(one["injected"] for one in run.samples) == 1
    phases = [one["phase"] for one in run.samples]
    assert phases == sorted(phases, key=["before", "during", "after"].index)
    assert {*phases} == {"before", "during", "after"}


@pytest.mark.parametrize(
    ("requests", "injected", "reason"),
    [(100, 0, "Faults are injected: 0 faults"), (3, 1, "of 3 requests; 20 are needed")],
)
def test_end__of_a_run_that_met_nobody__proves_nothing(
    route, requests, injected, reason
):
    run = finished(route, requests, injected)
    assert (run.state, run.verdict) == ("completed", "")
    assert "It proves nothing." in run.reason
    assert reason in run.reason


def test_watch__of_too_many_faults__ends_them(route):
    run = begin(route, blast_percent=Decimal(2))
    make_requests(100, model=route.model_id, ago_s=0)
    ChaosRun.objects.filter(pk=run.pk).update(injected=6)
    assert step(run, 1).state == RunState.RUNNING
    ChaosRun.objects.filter(pk=run.pk).update(injected=40)
    run = step(run, 1)
    assert run.state == RunState.RECOVERING
    assert "blast_percent: 40 faults for 100 requests" in run.reason


def test_watch__in_production__ends_with_the_window(route, settings):
    settings.PRODUCTION = True
    chaos_windows.open_window(hours=1, reason="Game day", opened_by="ada")
    run = begin(route)
    assert step(run, 1).state == RunState.RUNNING
    chaos_windows.close_windows("ada")
    run = step(run, 2)
    assert run.state == RunState.RECOVERING
    assert "Production allows" in run.reason


def test_watch__with_the_stop_file__ends_the_faults(route, settings):
    run = begin(route)
    Path(settings.CHAOS_STOP_FILE).touch()
    assert step(run, 1).state == RunState.RECOVERING


def test_run__without_a_controller__is_lost_after_a_minute(route):
    run = begin(route, ttl_s=300)
    assert step(run, 70).state == RunState.RUNNING
    run = step(run, 80)
    assert (run.state, run.verdict) == ("lost", "failed")


def test_drill__while_its_process_lives__is_left_to_it():
    plan = FaultPlan("store_down")
    run = chaos_runs.start_plan(
        "a-drill", plan, by=make_superuser(), ttl_s=60, is_drill=True
    )
    assert step(run, 20).state == RunState.RUNNING
    assert step(run, 90).state == RunState.LOST


def test_control__of_a_run_that_cannot_be_read__goes_on_to_the_next(route):
    make_requests(40, model=route.model_id, ago_s=20)
    root = make_superuser()
    broken = chaos_runs.start(make_experiment(), by=root)
    ChaosRun.objects.filter(pk=broken.pk).update(limits={"most_error_percent": "x"})
    run = chaos_runs.start(make_experiment(route), by=root)
    controller.control()
    run.refresh_from_db()
    assert run.state == RunState.RUNNING


def test_control__while_another_process_has_the_lock__does_nothing():
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(controller._LOCK)
            assert cursor.fetchone()[0]
            assert not controller.control()
            cursor.execute("SELECT pg_advisory_unlock_all()")
            assert controller.control()
    finally:
        other.close()
