"""The lists of flags, switches and periodic tasks: what may be done there by whom."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask
from waffle.models import Sample, Switch

from flags import exposure, services
from flags.exposure import ExposureKey
from flags.models import Flag, FlagEvent
from tests.admin.rows import make_task
from tests.fixtures_billing import unique
from tests.flags.rows import ADA, make_flag

FLAGS = "/admin/flags/flag/"
SWITCHES = "/admin/waffle/switch/"
TASKS = "/admin/django_celery_beat/periodictask/"


def act(client: Client, page: str, action: str, row: Any) -> Any:
    form = {"action": action, "_selected_action": [row.pk]}
    return client.post(page, form, follow=True)


@pytest.fixture
def flag(db: None) -> Flag:
    return make_flag(percent=20)


def sure(client: Client, action: str, flags: list[Flag], why: str = "Because") -> Any:
    """The action of the list, confirmed."""
    form = {
        "action": action,
        "_selected_action": [flag.pk for flag in flags],
        "confirmed": "1",
        "reason": why,
    }
    return client.post(FLAGS, form, follow=True)


ACTIONS = {
    "enable_flags": "enabled",
    "disable_flags": "disabled",
    "kill_flags": "killed",
    "archive_flags": "archived",
}


@pytest.mark.parametrize("action", ACTIONS)
def test_flag_action__chosen__asks_before_it_does_anything(
    operator: Client, flag: Flag, action: str
) -> None:
    text = act(operator, FLAGS, action, flag).content.decode()
    assert flag.name in text
    assert 'name="confirmed"' in text
    assert [one.action for one in flag.events.all()] == ["created"]


@pytest.mark.parametrize("action", ACTIONS)
def test_flag_action__confirmed__is_done_to_all_and_audited(
    operator: Client, action: str
) -> None:
    flags = [make_flag(enabled=action != "enable_flags") for _ in range(2)]
    text = sure(operator, action, flags).content.decode()
    assert "from the next request on" in text
    for flag in flags:
        event = flag.events.first()
        assert (event.action, event.actor_name, event.reason) == (ACTIONS[action], "olga", "Because")  # fmt: skip
    assert LogEntry.objects.count() == 2


def test_flag_revive__several__go_on_where_they_were(operator: Client) -> None:
    flags = [services.kill(make_flag(percent=30), actor=ADA) for _ in range(2)]
    sure(operator, "revive_flags", flags)
    assert not Flag.objects.filter(killed_at__isnull=False).exists()


def test_flag_action__without_a_reason__asks_for_it(
    operator: Client, flag: Flag
) -> None:
    answer = sure(operator, "disable_flags", [flag], why="")
    assert "Give a reason" in answer.content.decode()
    assert Flag.objects.get().enabled


def test_flag_kill__without_a_reason__is_killed_all_the_same(
    operator: Client, flag: Flag
) -> None:
    answer = operator.post(f"{FLAGS}{flag.pk}/kill/?from=list", {"reason": ""})
    assert answer.status_code == 302
    assert answer.headers["location"] == FLAGS
    assert Flag.objects.get().killed_by == "olga"


def test_flag_archive__changed_since_it_was_asked__told_by_whom_first(
    operator: Client, flag: Flag
) -> None:
    url = f"{FLAGS}{flag.pk}/archive/"
    form = {"reason": "Done", "expected": flag.revision}
    services.set_percent(flag, 90, actor=ADA, reason="It works")
    answer = operator.post(url, form)
    assert "by ada" in answer.content.decode()
    assert not Flag.objects.get().archived
    seen = answer.context["form"].data["expected"]
    operator.post(url, {**form, "expected": seen})
    assert Flag.objects.get().archived


def test_flag_kill__changed_since_it_was_asked__is_killed_all_the_same(
    operator: Client, flag: Flag
) -> None:
    services.set_percent(flag, 90, actor=ADA)
    operator.post(f"{FLAGS}{flag.pk}/kill/", {"reason": "", "expected": flag.revision})
    assert Flag.objects.get().killed


def test_flag_action__one_is_refused__the_others_are_done(operator: Client) -> None:
    needed, other = make_flag(), make_flag()
    make_flag(prerequisites=[{"flag": needed.name, "variant": "on"}])
    text = sure(operator, "archive_flags", [needed, other]).content.decode()
    assert "is needed by" in text
    assert set(Flag.objects.filter(archived=True)) == {other}


@pytest.mark.parametrize("verb", ["enable", "disable", "kill", "revive", "archive", "restore", "delete"])  # fmt: skip
def test_flag_verbs__auditor__refused(auditor: Client, flag: Flag, verb: str) -> None:
    url = f"{FLAGS}{flag.pk}/{verb}/"
    assert auditor.get(url).status_code == 403
    assert auditor.post(url, {"reason": "x"}).status_code == 403
    assert flag.events.count() == 1


def test_flag_action__auditor__nothing_happens(auditor: Client, flag: Flag) -> None:
    for action in ACTIONS:
        sure(auditor, action, [flag])
    assert flag.events.count() == 1


def test_flag_delete__confirmed__gone_and_its_history_stays(
    operator: Client, flag: Flag
) -> None:
    url = f"{FLAGS}{flag.pk}/delete/"
    assert "history stays" in operator.get(url).content.decode()
    assert operator.post(url, {"reason": "Unused"}).headers["location"] == FLAGS
    assert not Flag.objects.exists()
    assert FlagEvent.objects.filter(flag_name=flag.name).count() == 2


def test_flag_delete__the_gateways_own__refused_and_told(operator: Client) -> None:
    flag = services.create_flag({"name": "gateway.x"}, actor=ADA, protected=True)
    answer = operator.post(f"{FLAGS}{flag.pk}/delete/", {"reason": "x"})
    assert answer.status_code == 422
    assert "The gateway uses" in answer.content.decode()


def test_flag_archive__then_restore__in_the_filter_between(
    operator: Client, flag: Flag
) -> None:
    page = f"{FLAGS}{flag.pk}"
    operator.post(f"{page}/archive/", {"reason": "Done"})
    assert names(operator, "") == set()
    assert names(operator, "state=archived") == {flag.name}
    assert "/restore/" in operator.get(f"{page}/change/").content.decode()
    operator.post(f"{page}/restore/", {"reason": "Not done"})
    assert not Flag.objects.get().archived


def names(client: Client, query: str) -> set[str]:
    """Those that the list shows."""
    found = client.get(f"{FLAGS}?{query}").context["cl"].result_list
    return {flag.name for flag in found}


def test_list__filtered_by_state__only_those(operator: Client) -> None:
    on, off, killed, later, gone = (make_flag(name) for name in ("on", "off", "killed", "later", "gone"))  # fmt: skip
    services.disable(off, actor=ADA)
    services.kill(killed, actor=ADA)
    services.archive(gone, actor=ADA)
    services.schedule(later, "enable", at=timezone.now() + timedelta(days=1), actor=ADA)
    assert names(operator, "state=on") == {"on", "later"}
    assert names(operator, "state=off") == {"off"}
    assert names(operator, "state=killed") == {"killed"}
    assert names(operator, "state=scheduled") == {"later"}
    assert names(operator, "state=archived") == {"gone"}
    assert names(operator, "") == {"on", "off", "killed", "later"}


def test_list__stale__says_which_and_why(operator: Client) -> None:
    long_ago = timezone.now() - timedelta(days=40)
    past = (timezone.now() - timedelta(days=1)).date().isoformat()
    make_flag("fresh", percent=10)
    make_flag("past", expires_on=past)
    for name, share in (("unused", 50), ("decided", 100), ("busy", 50)):
        make_flag(name, percent=share)
    aged = Flag.objects.filter(name__in=["unused", "decided", "busy"])
    aged.update(created=long_ago, modified=long_ago)
    exposure.add(
        {ExposureKey("busy", "on"): 3, ExposureKey("decided", "on"): 3}, timezone.now()
    )
    assert names(operator, "stale=expired") == {"past"}
    assert names(operator, "stale=unused") == {"unused"}
    assert names(operator, "stale=decided") == {"decided"}
    assert names(operator, "stale=any") == {"past", "unused", "decided"}
    text = operator.get(FLAGS).content.decode()
    for reason in ("stale: expired", "stale: not used", "stale: decided"):
        assert reason in text


def test_list__no_right_to_kill__no_switch(auditor: Client, flag: Flag) -> None:
    text = auditor.get(FLAGS).content.decode()
    assert flag.name in text
    assert "/kill/" not in text


def test_flag__added__made_by_the_service_with_its_event(operator: Client) -> None:
    olga = User.objects.get(username="olga")
    form = {
        "name": "new-look",
        "kind": "boolean",
        "percent": "12.5",
        "note": "Trial",
        "purpose": "release",
        "owner": olga.pk,
        "expires_on": "2030-01-31",
        "tags": "a, b",
    }
    answer = operator.post(f"{FLAGS}add/", form)
    flag = Flag.objects.get()
    assert answer.headers["location"] == f"{FLAGS}{flag.pk}/change/"
    assert (flag.share, flag.owner, flag.tags, str(flag.expires_on)) == (1250, olga, ["a", "b"], "2030-01-31")  # fmt: skip
    assert flag.events.get().actor_name == "olga"


def test_flag__added_of_another_kind__has_no_percentage_yet(operator: Client) -> None:
    form = {"name": "look", "kind": "string", "percent": "5", "purpose": "release"}
    answer = operator.post(f"{FLAGS}add/", form)
    assert "once it has variants" in answer.content.decode()
    operator.post(f"{FLAGS}add/", {**form, "percent": ""})
    assert Flag.objects.get().share == 10_000


def test_history__of_all_flags__tells_who_did_what(auditor: Client, flag: Flag) -> None:
    services.set_percent(flag, 50, actor=ADA, reason="It works")
    event = flag.events.first()
    page = "/admin/flags/flagevent/"
    text = auditor.get(page).content.decode()
    for said in (flag.name, "ada", "set the percentage", "It works"):
        assert said in text
    text = auditor.get(f"{page}{event.pk}/change/").content.decode()
    assert "Percentage: 20\u00a0% → 50\u00a0%" in text


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
