"""Periodic work of the product: when it runs may change, but not what runs."""

import pytest
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from tests.admin.rows import make_task
from valuecanvas.celery import app
from valuecanvas.site.periodic_admin import OURS

pytestmark = pytest.mark.django_db


def page(task: PeriodicTask) -> str:
    return reverse("admin:django_celery_beat_periodictask_change", args=[task.pk])


def form(of: PeriodicTask, **fields: str) -> dict[str, str]:
    schedule = {"crontab": str(of.crontab_id)} if of.crontab_id else {"interval": str(of.interval_id)}  # fmt: skip
    return {"args": of.args, "kwargs": of.kwargs, "headers": "{}", "enabled": "on", **schedule, **fields}  # fmt: skip


def built_ins() -> list[PeriodicTask]:
    # Those of the migrations may have been flushed by a test before this one.
    every, _ = IntervalSchedule.objects.get_or_create(every=15, period="seconds")
    app.loader.import_default_modules()
    ours = sorted(name for name in app.tasks if name.startswith(OURS))
    for name in ours:
        if not PeriodicTask.objects.filter(task=name).exists():
            PeriodicTask.objects.create(name=name, task=name, interval=every)
    return [*PeriodicTask.objects.filter(task__in=ours)]


def test_built_in__each_edited__keeps_its_name_and_its_task(operator: Client) -> None:
    rows = built_ins()
    assert len(rows) >= 7
    for task in rows:
        shown = operator.get(page(task)).content.decode()
        assert task.task in shown
        assert 'name="task"' not in shown
        assert 'name="regtask"' not in shown
        sent = form(task, name="Mine", task="evil.task", regtask="billing.purge", description="Why.")  # fmt: skip
        assert operator.post(page(task), sent).status_code == 302
        now = PeriodicTask.objects.get(pk=task.pk)
        assert (now.name, now.task) == (task.name, task.task)
        assert now.description == "Why."


def test_built_in__given_another_interval__runs_by_it(operator: Client) -> None:
    [task] = [one for one in built_ins() if one.task == "billing.reap"]
    every = IntervalSchedule.objects.create(every=77, period="seconds")
    sent = {**form(task), "interval": str(every.pk)}
    assert operator.post(page(task), sent).status_code == 302
    task.refresh_from_db()
    assert (task.interval, task.task) == (every, "billing.reap")


def test_own_task__edited__may_get_another_name_and_task(boss: Client) -> None:
    task = make_task()
    sent = form(task, name="renamed", task="other.task", regtask="")
    assert boss.post(page(task), sent).status_code == 302
    task.refresh_from_db()
    assert (task.name, task.task) == ("renamed", "other.task")
