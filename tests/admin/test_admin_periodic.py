"""Periodic work of the product: when it runs may change, but not what runs."""

import pytest
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from tests.admin.rows import make_task
from valuecanvas.site.schedules import BUILT_IN, ensure_schedules

pytestmark = pytest.mark.django_db


def page(task: PeriodicTask) -> str:
    return reverse("admin:django_celery_beat_periodictask_change", args=[task.pk])


def form(of: PeriodicTask, **fields: str) -> dict[str, str]:
    schedule = {"crontab": str(of.crontab_id)} if of.crontab_id else {"interval": str(of.interval_id)}  # fmt: skip
    return {"args": of.args, "kwargs": of.kwargs, "headers": "{}", "enabled": "on", **schedule, **fields}  # fmt: skip


def built_ins() -> list[PeriodicTask]:
    ensure_schedules()
    return [*PeriodicTask.objects.filter(name__in=BUILT_IN)]


EVIL = {
    "name": "Mine", "task": "evil.task", "regtask": "billing.purge", "description": "Why.",
    "args": "[1]", "kwargs": '{"days": 1}', "headers": '{"x": 1}', "queue": "q",
    "exchange": "e", "routing_key": "r", "priority": "7", "expire_seconds": "9",
    "one_off": "on",
}  # fmt: skip
TIMES = {"enabled", "date_changed", "start_time", "last_run_at"}


def values(pk: int) -> dict[str, object]:
    [found] = PeriodicTask.objects.filter(pk=pk).values()
    return {name: value for name, value in found.items() if name not in TIMES}


def test_built_in__each_edited__keeps_all_but_its_times(operator: Client) -> None:
    rows = built_ins()
    assert len(rows) == len(BUILT_IN) >= 10
    for task in rows:
        shown = operator.get(page(task)).content.decode()
        assert task.task in shown
        for name in EVIL:
            assert f'name="{name}"' not in shown
        before, sent = values(task.pk), form(task, **EVIL)
        del sent["enabled"]
        assert operator.post(page(task), sent).status_code == 302
        assert values(task.pk) == before
        assert not PeriodicTask.objects.get(pk=task.pk).enabled


def test_built_in__deleted_by_a_superuser__stays(boss: Client) -> None:
    [task, *_] = built_ins()
    shown = boss.get(page(task)).content.decode()
    url = reverse("admin:django_celery_beat_periodictask_delete", args=[task.pk])
    assert url not in shown
    assert boss.post(url, {"post": "yes"}).status_code == 403
    every = reverse("admin:django_celery_beat_periodictask_changelist")
    chosen = {"action": "delete_selected", "_selected_action": task.pk, "post": "yes"}
    boss.post(every, chosen)
    schedule = task.crontab or task.interval
    kind = schedule._meta.model_name
    url = reverse(f"admin:django_celery_beat_{kind}_delete", args=[schedule.pk])
    assert boss.post(url, {"post": "yes"}).status_code == 403
    assert PeriodicTask.objects.filter(pk=task.pk).exists()


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


def test_drill__scheduled_by_an_operator__is_refused(
    operator: Client, boss: Client
) -> None:
    task = make_task()
    sent = form(task, name=task.name, task="", regtask="")
    for field in ("task", "regtask"):
        refused = operator.post(page(task), {**sent, field: "llm.drill"})
        assert "Only a superuser may schedule drills." in refused.content.decode()
    assert boss.post(page(task), {**sent, "task": "llm.drill"}).status_code == 302
    task.refresh_from_db()
    assert task.task == "llm.drill"
    assert operator.get(page(task)).status_code == 302
    assert boss.get(page(task)).status_code == 200
