"""Recurring jobs in the admin: a form that refuses what could not run, and Run now."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from llm.jobs.submission import open_body
from llm.models import Job, RecurringJob
from llm.models.job_queue import RECURRING_TASK
from tests.admin.job_rows import make_job, make_recurring
from tests.admin.page_forms import forms_of
from tests.browser.planting import PAYLOADS
from tests.fixtures_billing import make_customer
from tests.prompts.rows import make_prompt

pytestmark = pytest.mark.django_db
LIST = "/admin/llm/recurringjob/"
ADD = f"{LIST}add/"


def page(row: RecurringJob, kind: str = "change") -> str:
    return reverse(f"admin:llm_recurringjob_{kind}", args=[row.pk])


def form(**fields: Any) -> dict[str, Any]:
    return {
        "name": "weekly canvas",
        "type": "canvas_generation",
        "variables": '{"business": "a bakery"}',
        "schedule": "0 9 * * 1",
        "timezone": "Europe/Berlin",
        "enabled": "on",
        **fields,
    }


def refused(client: Client, **fields: Any) -> dict[str, Any]:
    """The errors of the form by field."""
    answer = client.post(ADD, form(customer=make_customer().pk, **fields))
    assert answer.status_code == 200
    assert not RecurringJob.objects.exists()
    errors: dict[str, Any] = answer.context["adminform"].form.errors
    return errors


def test_form__filled_in__makes_a_recurring_job_with_its_schedule(
    operator: Client,
) -> None:
    make_prompt(key="tone")
    customer = make_customer("bob")
    sent = form(
        customer=customer.pk, type="completion", prompt_key="tone", prompt_version="2",
        prompt_label="staging", body='{"model": "fast"}', tags="a, b",
    )  # fmt: skip
    answer = operator.post(ADD, sent)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    row = RecurringJob.objects.get()
    assert (row.name, row.customer, row.type, row.tags) == ("weekly canvas", customer, "completion", ["a", "b"])  # fmt: skip
    assert row.input == {
        "promptKey": "tone",
        "promptVersion": 2,
        "promptLabel": "staging",
        "promptVariables": {"business": "a bakery"},
        "body": {"model": "fast"},
    }
    assert (row.crontab.hour, str(row.crontab.timezone)) == ("9", "Europe/Berlin")
    assert PeriodicTask.objects.get(task=RECURRING_TASK).crontab == row.crontab


def test_form__opened_and_saved_again__changes_nothing(operator: Client) -> None:
    make_prompt(key="tone")
    given = {"promptKey": "tone", "promptVersion": 1, "promptVariables": {"a": [1, "é"]}, "body": {"n": 1}}  # fmt: skip
    row = make_recurring(
        "*/5 4 1,15 * *", zone="Asia/Tokyo", type="completion", input=given
    )
    [sent] = [one for one in forms_of(page(row), operator.get(page(row))) if "name" in one.fields]  # fmt: skip
    crontabs = CrontabSchedule.objects.count()
    sent.fields |= {name: [""] for name in ("callback_url", "prompt_label", "model")}
    assert operator.post(page(row), sent.fields).status_code == 302
    now = RecurringJob.objects.get()
    assert (now.input, now.crontab, now.tags) == (given, row.crontab, ["weekly"])
    assert CrontabSchedule.objects.count() == crontabs


@pytest.mark.parametrize(
    ("field", "fields", "said"),
    [
        ("schedule", {"schedule": "0 9 * *"}, "five fields"),
        ("schedule", {"schedule": "61 9 * * 1"}, "61"),
        ("timezone", {"timezone": "Atlantis"}, "Atlantis"),
        ("prompt_key", {"prompt_key": "nobody"}, "There is no prompt"),
        ("prompt_key", {"type": "embedding", "prompt_key": "tone", "body": "{}"}, "promptKey"),
        ("variables", {"variables": "{"}, "valid JSON"),
        ("variables", {"variables": "[" * 100_000}, "too deeply"),
        ("variables", {"variables": '"\\u0000"'}, "NUL"),
        ("variables", {"type": "embedding", "body": "{}"}, "promptVariables"),
        ("body", {"type": "embedding", "variables": "", "body": ""}, "is the body of a request"),
        ("body", {"type": "completion", "variables": "", "body": "[1]"}, "JSON object"),
        ("body", {"type": "completion", "variables": "", "body": '{"stream": true}'}, "stream"),
        ("type", {"type": "gone"}, "gone"),
        ("tags", {"tags": ",".join(f"t{n}" for n in range(11))}, "Up to 10 tags"),
        ("tags", {"tags": "x" * 41}, "40 characters"),
        ("name", {"name": ""}, "required"),
    ],
)  # fmt: skip
def test_form__with_a_fault__names_its_field(
    operator: Client, field: str, fields: dict[str, str], said: str
) -> None:
    make_prompt(key="tone")
    errors = refused(operator, **fields)
    assert list(errors) == [field]
    assert said in str(errors[field])


def test_form__with_a_bad_callback_url__names_its_field(operator: Client) -> None:
    errors = refused(operator, callback_url="ftp://x")
    assert list(errors) == ["callback_url"]


def test_form__of_a_type_that_is_gone__still_opens(operator: Client) -> None:
    row = make_recurring(type="gone")
    assert "gone" in operator.get(page(row)).content.decode()
    answer = operator.post(page(row), form(customer=row.customer_id, type="gone"))
    assert "There is no job type" in answer.content.decode()


def test_deletion__by_an_operator__takes_the_periodic_task_along(
    operator: Client,
) -> None:
    row = make_recurring()
    assert "delete_selected" not in operator.get(LIST).content.decode()
    assert operator.post(page(row, "delete"), {"post": "yes"}).status_code == 302
    assert not PeriodicTask.objects.filter(task=RECURRING_TASK).exists()


def test_periodic_tasks__of_recurring_jobs__are_edited_here_alone(boss: Client) -> None:
    row = make_recurring()
    task = row.periodic_task
    assert task is not None
    url = reverse("admin:django_celery_beat_periodictask_changelist")
    assert task.name not in boss.get(url).content.decode()
    boss.post(url, {"action": "disable_tasks", "_selected_action": task.pk})
    assert PeriodicTask.objects.get(pk=task.pk).enabled
    crontab = reverse("admin:django_celery_beat_crontabschedule_delete", args=[row.crontab_id])  # fmt: skip
    boss.post(crontab, {"post": "yes"})
    assert RecurringJob.objects.filter(pk=row.pk).exists()
    assert PeriodicTask.objects.filter(pk=task.pk).exists()


def test_run_now__sent_twice__submits_one_job(operator: Client) -> None:
    row = make_recurring()
    [run] = [one for one in forms_of(page(row), operator.get(page(row))) if one.url == page(row, "run")]  # fmt: skip
    for _ in "12":
        assert operator.post(run.url, run.fields)["Location"] == page(row)
    job = Job.objects.get()
    assert job.recurring == row
    assert open_body(job)["prompt"]["id"] == "canvas.generate"
    messages = LogEntry.objects.values_list("change_message", flat=True)
    assert set(messages) == {f"Run now: job {job.pk}."}
    text = operator.get(page(row)).content.decode()
    assert reverse("admin:llm_job_change", args=[job.pk]) in text
    assert f"?recurring__id__exact={row.pk}" in text
    operator.post(run.url, {})
    assert Job.objects.count() == 2
    assert operator.get(run.url)["Location"] == page(row)


def test_run_now__of_a_suspended_customer__says_so(operator: Client) -> None:
    row = make_recurring(customer=make_customer("bob", suspended=True))
    answer = operator.post(page(row, "run"), {}, follow=True)
    assert "The customer bob is suspended." in answer.content.decode()
    assert not Job.objects.exists()


def test_page__of_one_that_was_refused__says_why_until_it_is_saved(
    operator: Client,
) -> None:
    row = make_recurring(error="The customer bob is suspended.")
    assert "was not submitted" in operator.get(page(row)).content.decode()
    assert "refused" in operator.get(LIST).content.decode()
    operator.post(page(row), form(customer=row.customer_id))
    row.refresh_from_db()
    assert row.error == ""


def test_list__of_several__shows_the_last_job_of_each(operator: Client) -> None:
    first, second = make_recurring("0 9 * * 1"), make_recurring()
    make_job("failed", recurring=first, error_code="x")
    make_job("succeeded", recurring=first)
    rows = {row.pk: row for row in operator.get(LIST).context["cl"].result_list}
    assert rows[first.pk].last_job.state == "succeeded"
    assert rows[second.pk].last_job is None
    text = operator.get(LIST).content.decode()
    assert "At 09:00 AM, only on Monday UTC" in text


def test_page__for_an_auditor__shows_all_and_has_no_buttons(auditor: Client) -> None:
    row = make_recurring()
    text = auditor.get(page(row)).content.decode()
    assert "a bakery" in text
    assert "only on Monday" in text
    assert page(row, "run") not in text
    assert auditor.post(page(row, "run"), {}).status_code == 403
    assert not Job.objects.exists()


def test_pages__markup_in_each_text__is_escaped(boss: Client, auditor: Client) -> None:
    evil = PAYLOADS[0]
    row = make_recurring(name=PAYLOADS[1], error=evil, input={"promptVariables": {evil: evil}, "body": {evil: evil}}, tags=[evil[:40]], callback_url=evil)  # fmt: skip
    make_job("failed", recurring=row, error=evil, error_code=evil[:80])
    for client in (boss, auditor):
        for url in (LIST, page(row)):
            text = client.get(url).content.decode()
            assert "<x-planted" not in text
