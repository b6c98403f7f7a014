"""Recurring jobs: one job for each minute of the schedule, and none without a reason."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, transaction
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from llm.jobs.recurring import check_input, submit_due, submit_now
from llm.jobs.submission import open_body
from llm.models import Job, RecurringJob
from llm.models.job_queue import RECURRING_TASK
from llm.tasks import submit_recurring
from tests.admin.job_rows import make_recurring
from tests.fixtures_billing import make_customer, make_team
from valuecanvas.core.db.periodic_work import find_crontab
from valuecanvas.core.errors import NotPermitted

pytestmark = pytest.mark.django_db
MONDAY = datetime(2030, 1, 7, 9, 0, tzinfo=UTC)
WEEK = timedelta(days=7)


def submitted(row: RecurringJob, at: datetime) -> bool:
    """Whether a message that is handled at that time submits a job."""
    before = row.jobs.count()
    job = submit_due(row.pk, at)
    if job is not None:
        Job.objects.filter(pk=job.pk).update(created_at=at)
    return row.jobs.count() > before


def task_of(row: RecurringJob) -> PeriodicTask:
    return PeriodicTask.objects.get(pk=row.periodic_task_id)


def test_recurring__saved__has_its_periodic_task() -> None:
    row = make_recurring("0 9 * * 1", zone="Europe/Berlin")
    task = task_of(row)
    assert (task.task, json.loads(task.kwargs)) == (RECURRING_TASK, {"id": row.pk})
    assert (task.crontab, task.enabled) == (row.crontab, True)
    assert row.name in task.name


def test_recurring__changed__takes_its_task_along_and_beat_is_told() -> None:
    row = make_recurring()
    before = PeriodicTasks.last_change()
    row.name, row.enabled, row.crontab = "other", False, find_crontab("5 4 * * *")
    row.save()
    task = task_of(row)
    assert (task.enabled, task.crontab) == (False, row.crontab)
    assert task.name.endswith(": other")
    assert PeriodicTasks.last_change() > before
    assert PeriodicTask.objects.filter(task=RECURRING_TASK).count() == 1


def test_recurring__whose_task_was_deleted__gets_another_when_saved() -> None:
    row = make_recurring()
    PeriodicTask.objects.filter(pk=row.periodic_task_id).delete()
    row = RecurringJob.objects.get(pk=row.pk)
    row.save()
    assert task_of(row).enabled


def test_recurring__deleted__takes_its_task_along() -> None:
    row = make_recurring()
    job = submit_now(row)
    row.delete()
    assert not PeriodicTask.objects.filter(task=RECURRING_TASK).exists()
    job.refresh_from_db()
    assert job.recurring is None
    PeriodicTask.objects.create(
        name="another", task=RECURRING_TASK, crontab=find_crontab("1 1 * * *")
    )
    row = make_recurring()
    PeriodicTask.objects.filter(pk=row.periodic_task_id).delete()
    RecurringJob.objects.get(pk=row.pk).delete()


def test_recurring__refused_by_the_database__leaves_no_task() -> None:
    row = make_recurring()
    with pytest.raises(IntegrityError), transaction.atomic():
        make_recurring(name=row.name)
    assert PeriodicTask.objects.filter(task=RECURRING_TASK).count() == 1


def test_due__its_job__has_owner_input_tags_and_origin() -> None:
    team = make_team("acme")
    row = make_recurring(customer=make_customer("bob", team=team))
    job = submit_due(row.pk, MONDAY)
    assert job is not None
    assert (job.customer_id, job.user_id, job.team) == (row.customer_id, "bob", "acme")
    assert (job.type, job.tags, job.recurring, job.key) == ("canvas_generation", ["weekly"], row, "")  # fmt: skip
    assert open_body(job)["prompt"]["variables"] == {"business": "a bakery"}


def test_message__twice_or_late__submits_nothing_more() -> None:
    row = make_recurring("0 9 * * 1")
    assert submitted(row, MONDAY)
    for late in (0, 1, 900, 3 * 86_400):
        assert not submitted(row, MONDAY + timedelta(seconds=late))
    assert submitted(row, MONDAY + WEEK)
    assert row.jobs.count() == 2


def test_message__delivered_after_the_next_one__submits_nothing() -> None:
    row = make_recurring("* * * * *")
    assert submitted(row, MONDAY)
    assert submitted(row, MONDAY + timedelta(seconds=61))
    assert not submitted(row, MONDAY + timedelta(seconds=62))
    assert submitted(row, MONDAY + timedelta(seconds=120))


def test_messages__many_after_a_long_outage__submit_one_job() -> None:
    row = make_recurring("0 * * * *")
    assert submitted(row, MONDAY)
    late = MONDAY + timedelta(hours=8, minutes=3)
    assert submitted(row, late)
    for seconds in range(7):
        assert not submitted(row, late + timedelta(seconds=seconds))


def test_message__clock_somewhat_behind__is_on_time() -> None:
    row = make_recurring("0 9 * * 1")
    assert submitted(row, MONDAY)
    assert submitted(row, MONDAY + WEEK - timedelta(seconds=2))
    assert not submitted(row, MONDAY + WEEK + timedelta(seconds=1))


def test_schedule__of_a_zone__is_in_its_own_time() -> None:
    row = make_recurring("0 9 * * 1", zone="America/New_York")
    assert submitted(row, MONDAY + timedelta(hours=5))
    assert not submitted(row, MONDAY + WEEK + timedelta(hours=4, minutes=59))
    assert submitted(row, MONDAY + WEEK + timedelta(hours=5))


def test_message__of_one_that_was_disabled_or_deleted__submits_nothing() -> None:
    row = make_recurring(enabled=False)
    assert submit_due(row.pk, MONDAY) is None
    pk = row.pk
    row.delete()
    submit_recurring(pk)
    assert not Job.objects.exists()


def test_message__after_an_edit_in_the_same_minute__submits_nothing_more() -> None:
    row = make_recurring()
    assert submit_due(row.pk, MONDAY)
    Job.objects.update(recurring=None)
    RecurringJob.objects.update(input={"promptKey": "another"})
    assert submit_due(row.pk, MONDAY) is None
    assert Job.objects.count() == 1


def test_customer__suspended__is_told_on_the_page_until_it_works_again() -> None:
    row = make_recurring(customer=make_customer("bob", suspended=True))
    assert submit_due(row.pk, MONDAY) is None
    row.refresh_from_db()
    assert row.error == "The customer bob is suspended."
    with pytest.raises(NotPermitted):
        submit_now(row)
    row.customer.suspended = False
    row.customer.save()
    assert submit_due(row.pk, MONDAY)
    row.refresh_from_db()
    assert row.error == ""


def test_type__that_is_registered_no_more__is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    row = make_recurring(type="gone")
    submit_recurring(row.pk)
    row.refresh_from_db()
    assert row.error.startswith("There is no job type 'gone'.")


def test_run_now__with_a_key__submits_once() -> None:
    row = make_recurring()
    assert submit_now(row, "x") == submit_now(row, "x")
    assert submit_now(row) != submit_now(row)


@pytest.mark.parametrize(
    ("job_type", "given", "field", "code"),
    [
        ("gone", {}, "type", "type"),
        ("embedding", {}, "input", "body"),
        ("completion", {"promptKey": ""}, "input", "promptKey"),
        ("completion", {"body": {"stream": True}}, "input", "stream"),
        ("embedding", {"body": {}, "promptKey": "x"}, "input", "promptKey"),
    ],
)
def test_input__that_makes_no_call__names_its_field(
    job_type: str, given: dict[str, object], field: str, code: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        check_input(job_type, given)
    [error] = caught.value.error_dict[field]
    assert error.code == code


@pytest.mark.django_db(transaction=True)
def test_messages__two_at_once__submit_one_job() -> None:
    row, now = make_recurring(), timezone.now()
    ready = threading.Barrier(2)

    def handle() -> None:
        ready.wait()
        try:
            submit_due(row.pk, now)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=handle) for _ in "12"]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert Job.objects.count() == 1
    row.delete()  # a flush leaves its periodic task
