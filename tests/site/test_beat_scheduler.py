"""The beat's schedule while the database is away."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from valuecanvas.celery import app
from valuecanvas.site.beat_scheduler import BeatScheduler
from valuecanvas.site.schedules import ensure_schedules

pytestmark = pytest.mark.django_db(transaction=True)


class Outage:
    """A wrapper of queries: those that name `table` fail while it lasts."""

    def __init__(self, table: str = "") -> None:
        self.table = table
        self.lasts = True
        self.met = 0

    def __call__(self, execute: Any, sql: str, *arguments: Any) -> Any:
        if self.lasts and self.table in sql:
            self.met += 1
            raise OperationalError("terminating connection")
        return execute(sql, *arguments)


@pytest.fixture
def names() -> Iterator[set[str]]:
    before = [*PeriodicTask.objects.all()]
    ensure_schedules()
    # Nothing is due now: a message to a broker is not what is tested.
    PeriodicTask.objects.update(enabled=True, last_run_at="2100-01-01T00:00:00Z")
    yield {*PeriodicTask.objects.filter(crontab=None).values_list("name", flat=True)}
    # Schedules outlive the test, unlike all other rows.
    PeriodicTask.objects.all().delete()
    PeriodicTask.objects.bulk_create(before)


@pytest.mark.parametrize("table", ["", "periodictask", "crontabschedule"])
def test_schedule__database_is_away_at_the_start__is_read_later(
    names: set[str], table: str
) -> None:
    outage = Outage(table)
    with connection.execute_wrapper(outage):
        beat = BeatScheduler(app=app)
        assert not names & beat.schedule.keys()
        assert beat.tick() > 0
        assert outage.met > 1
        outage.lasts = False
        assert beat.tick() > 0
    assert names <= beat.schedule.keys()
    assert {entry.name for _, _, entry in beat._heap} >= names


def test_schedule__database_is_away_at_a_change__keeps_the_last_and_reads_later(
    names: set[str],
) -> None:
    beat = BeatScheduler(app=app)
    assert names <= beat.schedule.keys()
    name = min(names)
    task = PeriodicTask.objects.get(name=name)
    task.enabled = False
    task.save()
    PeriodicTasks.update_changed()
    outage = Outage("crontabschedule")
    with connection.execute_wrapper(outage):
        assert beat.tick() > 0
        assert outage.met
        assert names <= beat.schedule.keys()
        outage.lasts = False
        assert beat.tick() > 0
    assert beat.schedule.keys() & names == names - {name}


def test_tick__database_fails_while_a_row_is_written__goes_on(
    names: set[str],
) -> None:
    beat = BeatScheduler(app=app)
    name = min(names)
    # A task that has run once is disabled in its row.
    PeriodicTask.objects.filter(name=name).update(
        one_off=True, total_run_count=1, last_run_at=None
    )
    beat._initial_read = True
    beat._heap = None
    with connection.execute_wrapper(Outage("UPDATE")):
        assert beat.tick() > 0
    assert PeriodicTask.objects.get(name=name).enabled
