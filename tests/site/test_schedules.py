"""The built-in periodic work: created where it is missing, and operators' edits stay."""

from datetime import UTC, datetime

import pytest
from django.core.exceptions import ValidationError
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
)

from valuecanvas.celery import app
from valuecanvas.core.db.periodic_work import PeriodicWork, ensure_work, find_crontab
from valuecanvas.site.schedules import BUILT_IN, ensure_schedules

pytestmark = pytest.mark.django_db
REAP = "Billing: end abandoned reservations"
WORK = PeriodicWork("Test: work", "test.work", "Works.", every=7, expire_seconds=3)


def row(name: str = WORK.name) -> PeriodicTask:
    return PeriodicTask.objects.get(name=name)


def test_migrations__what_they_made__is_as_declared() -> None:
    new = {
        name
        for name, work in BUILT_IN.items()
        if work.task.startswith(
            (
                "core.audit.",
                "llm.jobs.",
                "llm.refresh_",
                "valuecanvas.",
                "billing.evaluate_",
                "billing.partition_",
                "billing.revoke_keys_",
                "billing.rollup_",
            )
        )
    }
    # A test that commits may have made them before.
    PeriodicTask.objects.filter(name__in=new).delete()
    assert set(ensure_schedules()) == new
    assert ensure_schedules() == []


def test_migrations__times_that_they_made__are_the_declared_ones() -> None:
    before = {
        one.name: (one.interval, one.crontab) for one in PeriodicTask.objects.all()
    }
    PeriodicTask.objects.filter(name__in=BUILT_IN).delete()
    assert set(ensure_schedules()) == BUILT_IN.keys()
    after = {
        one.name: (one.interval, one.crontab) for one in PeriodicTask.objects.all()
    }
    assert before.items() <= after.items()


def test_work__missing__is_created_and_beat_is_told() -> None:
    assert ensure_work([WORK]) == [WORK.name]
    found = row()
    assert (found.task, found.description, found.enabled) == (
        "test.work",
        "Works.",
        True,
    )
    assert (found.interval.every, found.interval.period) == (7, "seconds")
    assert ensure_work([WORK]) == []


def test_work__edited_by_operators__keeps_their_times() -> None:
    ensure_work([WORK])
    every = IntervalSchedule.objects.create(every=99, period="seconds")
    PeriodicTask.objects.filter(name=WORK.name).update(interval=every, enabled=False)
    newer = PeriodicWork(WORK.name, "test.newer", "More.", every=7, kwargs='{"a": 1}')
    assert ensure_work([newer]) == [WORK.name]
    found = row()
    assert (found.task, found.description, found.kwargs) == ("test.newer", "More.", '{"a": 1}')  # fmt: skip
    assert (found.interval, found.enabled, found.expire_seconds) == (every, False, None)


def test_work__with_columns_from_before_they_were_fixed__gets_them_back() -> None:
    ensure_work([WORK])
    old = {"queue": "q", "one_off": True, "args": "[1]", "expires": datetime(2030, 1, 1, tzinfo=UTC)}  # fmt: skip
    PeriodicTask.objects.filter(name=WORK.name).update(expire_seconds=None, **old)
    assert ensure_work([WORK]) == [WORK.name]
    found = row()
    assert (found.queue, found.one_off, found.args, found.expires) == (None, False, "[]", None)  # fmt: skip
    assert found.expire_seconds == 3


def test_work__at_a_moment_that_an_operator_chose__runs_once() -> None:
    ensure_work([WORK])
    at = ClockedSchedule.objects.create(clocked_time=datetime(2031, 1, 1, tzinfo=UTC))
    PeriodicTask.objects.filter(name=WORK.name).update(
        interval=None, clocked=at, one_off=True, description="Mine."
    )
    assert ensure_work([WORK]) == [WORK.name]
    assert (row().clocked, row().one_off) == (at, True)


def test_crontab__asked_for_twice__is_one_row() -> None:
    first = find_crontab("5 4 * * 1", "Europe/Berlin")
    assert find_crontab(" 5  4 * * 1 ", "Europe/Berlin").pk == first.pk
    assert find_crontab("5 4 * * 1").pk != first.pk
    assert CrontabSchedule.objects.filter(minute="5", hour="4").count() == 2


@pytest.mark.parametrize(
    "text", ["", "5 4 * *", "5 4 * * 1 2", "61 4 * * 1", "x y z a b"]
)
def test_crontab__that_is_none__is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        find_crontab(text)


def test_built_in__all_of_it__has_a_task_that_workers_know() -> None:
    app.loader.import_default_modules()
    assert {one.task for one in BUILT_IN.values()} <= set(app.tasks)
