"""When experiments start by themselves."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from llm.chaos import chaos_schedules, controller
from llm.models import ChaosExperiment, ChaosRun
from llm.models.chaos import RunState
from tests.llm.chaos.rows import make_experiment, make_superuser, release_locks
from valuecanvas.core.db.periodic_work import find_crontab

pytestmark = pytest.mark.django_db
NOON = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)


def at(minutes: float) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minutes)


def last(state: RunState, begun: float, ended: float | None = None) -> ChaosRun:
    end = None if ended is None else at(ended)
    return ChaosRun(state=state, started_at=at(begun), ended_at=end)


ONCE = {"starts_at": NOON}
GAME_DAY = {"window_begins": NOON, "window_ends": at(60)}
DONE, BAD = RunState.COMPLETED, RunState.ABORTED
CASES: tuple[tuple[dict[str, Any], ChaosRun | None, float, bool], ...] = (
    ({}, None, 0, False),
    (ONCE, None, -1, False),
    (ONCE, None, 0, True),
    (ONCE, None, 6, False),
    (ONCE, last(DONE, -9, -8), 1, True),
    (ONCE, last(DONE, 0, 1), 2, False),
    (ONCE, last(BAD, -9, -8), 1, True),
    (GAME_DAY, None, -1, False),
    (GAME_DAY, None, 5, True),
    (GAME_DAY, None, 60, False),
    (GAME_DAY, last(DONE, 1, 4), 4.5, False),
    (GAME_DAY, last(DONE, 1, 4), 5, True),
    (GAME_DAY, last(RunState.REFUSED, 1, 1), 5, False),
    (GAME_DAY, last(RunState.REFUSED, 1, 1), 11, True),
    (GAME_DAY, last(RunState.RUNNING, 1), 20, False),
    (GAME_DAY, last(BAD, 1, 4), 30, False),
    (GAME_DAY, last(RunState.STOPPED, 1, 4), 30, False),
    # Of the game day before.
    (GAME_DAY, last(BAD, -900, -890), 30, True),
)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_schedule__at_a_time__is_due_or_not(case):
    fields, run, minutes, due = CASES[case]
    assert chaos_schedules.is_due(ChaosExperiment(**fields), run, at(minutes)) is due


CRON_CASES: tuple[tuple[ChaosRun | None, float, bool], ...] = (
    (None, -0.1, False),
    (None, 0.1, True),
    (None, 0.9, True),
    (None, 3, False),
    (last(DONE, -10, -5), 0.1, True),
    (last(DONE, 0.05, 0.2), 0.5, False),
    (last(BAD, -10, -5), 0.1, False),
    (last(RunState.REFUSED, -10, -10), 0.1, True),
)


@pytest.mark.parametrize("case", range(len(CRON_CASES)))
def test_crontab__of_each_ten_minutes__is_due_at_its_minute(case):
    run, minutes, due = CRON_CASES[case]
    experiment = ChaosExperiment(crontab=find_crontab("*/10 * * * *"))
    assert chaos_schedules.is_due(experiment, run, at(minutes)) is due


@pytest.fixture
def chaos(settings: Any, tmp_path: Path, db: None) -> Iterator[None]:
    settings.CHAOS_ENABLED = True
    settings.CHAOS_STOP_FILE = str(tmp_path / "chaos.stop")
    yield
    release_locks()


def test_control__of_a_start_that_is_due__starts_it_for_its_author(chaos):
    root = make_superuser()
    experiment = make_experiment(created_by=root, starts_at=timezone.now())
    controller.control()
    controller.control()
    run = ChaosRun.objects.get(experiment=experiment)
    assert run.started_by == root
    # Nobody has sent a request.
    assert run.state == RunState.REFUSED


@pytest.mark.parametrize("former", [True, False])
def test_control__of_a_start_that_may_not_be__keeps_the_reason(chaos, former):
    root = make_superuser()
    experiment = make_experiment(created_by=root, starts_at=timezone.now())
    if former:
        type(root).objects.update(is_superuser=False)
    else:
        root.delete()
    controller.control()
    controller.control()
    run = ChaosRun.objects.get(experiment=experiment)
    assert run.state == RunState.REFUSED
    assert "superuser" in run.reason


def test_control__of_an_experiment_that_cannot_be_read__starts_the_next(chaos):
    root = make_superuser()
    broken, sound = (
        make_experiment(created_by=root, starts_at=timezone.now()) for _ in range(2)
    )
    # By hand in the database: the form allows no such fault.
    ChaosExperiment.objects.filter(pk=broken.pk).update(fault="flood", name="a-first")
    controller.control()
    assert [one.experiment for one in ChaosRun.objects.all()] == [sound]
