"""Flags, switches and periodic tasks: their actions, by who may and who may not."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from waffle.models import Sample, Switch

from flags.models import Flag
from tests.admin.rows import make_task
from tests.fixtures_billing import unique

FLAGS = "/admin/flags/flag/"
SWITCHES = "/admin/waffle/switch/"
TASKS = "/admin/django_celery_beat/periodictask/"


def act(client: Client, page: str, action: str, row: Any) -> Any:
    form = {"action": action, "_selected_action": [row.pk]}
    return client.post(page, form, follow=True)


@pytest.fixture
def flag(db: None) -> Any:
    return Flag.objects.create(name=unique("flag"))


@pytest.mark.parametrize(
    ("action", "everyone", "shown"),
    [("enable_for_all", True, "on"), ("disable_for_all", False, "off")],
)
def test_flag_action__operator__switches_and_logs(
    operator: Client, flag: Flag, action: str, everyone: bool, shown: str
) -> None:
    text = act(operator, FLAGS, action, flag).content.decode()
    flag.refresh_from_db()
    assert flag.everyone is everyone
    assert LogEntry.objects.exists()
    assert shown in text


@pytest.mark.parametrize("action", ["enable_for_all", "delete_individually"])
def test_flag_action__auditor__nothing_happens(
    auditor: Client, flag: Flag, action: str
) -> None:
    act(auditor, FLAGS, action, flag)
    assert Flag.objects.get().everyone is None


def test_flag_delete__operator__one_by_one(operator: Client, flag: Flag) -> None:
    act(operator, FLAGS, "delete_selected", flag)
    assert Flag.objects.exists()
    act(operator, FLAGS, "delete_individually", flag)
    assert not Flag.objects.exists()


def test_flag__added_with_a_share__kept(operator: Client) -> None:
    form = {"name": "new-look", "percent": "12.5", "note": "Trial", "everyone": "unknown", "superusers": "on"}  # fmt: skip
    assert operator.post(f"{FLAGS}add/", form).status_code == 302
    flag = Flag.objects.get()
    assert (str(flag.percent), flag.everyone) == ("12.50", None)


@pytest.mark.parametrize(
    ("action", "active"), [("enable_switches", True), ("disable_switches", False)]
)
def test_switch_action__operator__switches(
    operator: Client, action: str, active: bool
) -> None:
    switch = Switch.objects.create(name=unique("switch"), active=not active)
    act(operator, SWITCHES, action, switch)
    switch.refresh_from_db()
    assert switch.active is active


def test_sample__added__kept(operator: Client) -> None:
    form = {"name": "one-in-ten", "percent": "10"}
    assert operator.post("/admin/waffle/sample/add/", form).status_code == 302
    assert Sample.objects.get().percent == 10


@pytest.mark.parametrize(
    ("action", "enabled"), [("enable_tasks", True), ("disable_tasks", False)]
)
def test_task_action__operator__switches_and_logs(
    operator: Client, action: str, enabled: bool
) -> None:
    task = make_task(enabled=not enabled)
    act(operator, TASKS, action, task)
    task.refresh_from_db()
    assert task.enabled is enabled
    assert LogEntry.objects.get().object_id == str(task.pk)


def test_task_action__auditor__nothing_happens(auditor: Client) -> None:
    task = make_task()
    for action in ("disable_tasks", "run_tasks", "toggle_tasks"):
        act(auditor, TASKS, action, task)
    task.refresh_from_db()
    assert task.enabled
    assert not LogEntry.objects.exists()


def test_task_run__unknown_task__says_so(operator: Client) -> None:
    text = act(operator, TASKS, "run_tasks", make_task()).content.decode()
    assert "not found" in text


def test_task__crontab__shown_in_words(boss: Client) -> None:
    crontab = CrontabSchedule.objects.create(minute="0", hour="3")
    task = PeriodicTask.objects.create(name="nightly", task="t", crontab=crontab)
    for page in (TASKS, f"{TASKS}{task.pk}/change/"):
        assert "At 03:00" in boss.get(page).content.decode()


def test_task_page__no_inline_script__the_policy_would_refuse_it(boss: Client) -> None:
    text = boss.get(f"{TASKS}{make_task().pk}/change/").content.decode()
    scripts = [part.split(">", 1) for part in text.split("<script")[1:]]
    assert all("src=" in head for head, _ in scripts)


def test_task__changed_by_an_operator__kept(operator: Client) -> None:
    task = make_task()
    form = {
        "name": "renamed",
        "task": task.task,
        "regtask": "",
        "interval": task.interval_id,
        "args": "[]",
        "kwargs": "{}",
        "headers": "{}",
    }
    answer = operator.post(f"{TASKS}{task.pk}/change/", form)
    assert answer.status_code == 302
    task.refresh_from_db()
    assert (task.name, task.enabled) == ("renamed", False)
