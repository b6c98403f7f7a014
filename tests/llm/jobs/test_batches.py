"""Batches after their jobs were made: counted, cancelled, expired, ended, deleted."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from llm.jobs import batches, callbacks, expansion, files
from llm.jobs.batches import NewBatch
from llm.models import Job, JobBatch, JobFile, JobResult, JobState
from tests.llm.jobs.rows import (
    DAY,
    answer,
    chat_line,
    file_of,
    jobs_of,
    lines_of,
    make_batch,
    make_file,
    make_owner,
    make_running,
    run_elsewhere,
)
from valuecanvas.core.errors import Conflict, NotFound, Unprocessable

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def called_back(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The states of the batches whose callbacks are queued, in order."""
    found: list[str] = []
    monkeypatch.setattr(
        callbacks, "queue_batch_callback", lambda batch: found.append(batch.state)
    )
    return found


def refreshed(batch: JobBatch) -> JobBatch:
    batches.refresh([batch.pk])
    batch.refresh_from_db()
    return batch


def counts(batch: JobBatch) -> tuple[int, int, int]:
    return batch.succeeded, batch.failed, batch.cancelled


def set_state(job: Job, state: str, **fields: Any) -> None:
    Job.objects.filter(pk=job.pk).update(state=state, due=False, **fields)


def test_refresh__of_a_batch_under_way__counts_and_leaves_it_open(
    called_back: list[str],
) -> None:
    batch = make_running(5)
    one, two, three, four, _ = jobs_of(batch)
    answer(one)
    answer(two, cost="0.25")
    set_state(three, JobState.FAILED)
    set_state(four, JobState.RUNNING)
    refreshed(batch)
    assert (batch.state, batch.finished_at) == ("in_progress", None)
    assert (counts(batch), batch.cost_usd) == ((2, 1, 0), Decimal("0.75"))
    assert called_back == []


def test_refresh__after_the_last_line__completes_it_once(
    called_back: list[str],
) -> None:
    batch = make_running(3)
    one, two, three = jobs_of(batch)
    answer(one)
    set_state(two, JobState.DEAD)
    set_state(three, JobState.FAILED)
    ended = refreshed(batch).finished_at
    assert (batch.state, counts(batch)) == ("completed", (1, 2, 0))
    refreshed(batch)
    assert batch.finished_at == ended is not None
    assert called_back == ["completed"]


def test_cancel__half_way__keeps_what_was_answered(called_back: list[str]) -> None:
    batch = make_running(6)
    for job in jobs_of(batch)[:2]:
        answer(job)
    running = jobs_of(batch)[2]
    set_state(running, JobState.RUNNING)
    assert batches.cancel_batch(batch.pk)
    batch.refresh_from_db()
    assert (batch.state, counts(batch)) == ("cancelling", (2, 0, 3))
    assert called_back == []
    assert batches.find_unwanted([running.pk]) == set()
    JobBatch.objects.update(cancelled_at=timezone.now() - batches.GRACE)
    assert batches.find_unwanted([running.pk]) == {running.pk}
    answer(running)
    refreshed(batch)
    assert (batch.state, counts(batch)) == ("cancelled", (3, 0, 3))
    assert batch.cancelled_at is not None
    assert batch.cost_usd == Decimal("1.5")
    ended = jobs_of(batch)[3:]
    assert {(one.state, one.error_code) for one in ended} == {
        ("cancelled", "batch_cancelled")
    }
    assert not any(one.due for one in ended)
    assert [one["custom_id"] for one in lines_of(batch)] == [
        "line 1", "line 2", "line 3",
    ]  # fmt: skip
    assert called_back == ["cancelled"]
    assert not batches.cancel_batch(batch.pk)
    assert called_back == ["cancelled"]


def test_cancel__in_many_chunks__reaches_every_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "AT_A_TIME", 3)
    batch = make_running(10)
    assert batches.cancel_batch(batch.pk)
    assert {one.state for one in jobs_of(batch)} == {"cancelled"}


def test_cancel__of_a_line_that_a_worker_claims__waits_for_nobody(
    called_back: list[str],
) -> None:
    batch = make_running(3)
    first = jobs_of(batch)[0]
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=first.pk)
        run_elsewhere(lambda: batches.cancel_batch(batch.pk))
        batch.refresh_from_db()
        assert (batch.state, counts(batch)) == ("cancelling", (0, 0, 2))
        # It is queued again, as after a failed attempt.
    refreshed(batch)
    assert (batch.state, counts(batch)) == ("cancelled", (0, 0, 3))
    assert called_back == ["cancelled"]


def test_cancel__before_the_jobs_are_made__ends_it_at_once(
    called_back: list[str],
) -> None:
    batch = make_batch(make_owner(), chat_line("a"))
    assert batches.cancel_batch(batch.pk)
    expansion.expand_by_id(batch.pk)
    batch.refresh_from_db()
    assert (batch.state, jobs_of(batch)) == ("cancelled", [])
    assert batch.cancelled_at == batch.finished_at
    assert called_back == ["cancelled"]


def test_cost__of_what_was_cut_off__is_added_later(called_back: list[str]) -> None:
    batch = make_running(2)
    batches.cancel_batch(batch.pk)
    ended = JobBatch.objects.get().finished_at
    Job.objects.filter(pk=jobs_of(batch)[0].pk).update(cost_usd="0.1")
    batches.sweep()
    batch.refresh_from_db()
    assert (batch.state, batch.cost_usd) == ("cancelled", Decimal("0.1"))
    assert batch.finished_at == ended is not None
    assert called_back == ["cancelled"]


def test_sweep__past_the_deadline__fails_queued_lines_and_lets_the_others_end(
    called_back: list[str],
) -> None:
    batch = make_running(4)
    one, two, _, _ = jobs_of(batch)
    answer(one)
    set_state(two, JobState.RUNNING)
    JobBatch.objects.update(deadline=timezone.now())
    batches.sweep()
    batch.refresh_from_db()
    assert (batch.state, counts(batch)) == ("in_progress", (1, 2, 0))
    answer(two)
    batches.sweep()
    batch.refresh_from_db()
    assert (batch.state, counts(batch)) == ("expired", (2, 2, 0))
    assert batch.cost_usd == Decimal("1")
    assert {one["error"]["code"] for one in lines_of(batch, failed=True)} == {
        "batch_expired"
    }
    assert len(lines_of(batch)) == 2
    assert called_back == ["expired"]


def test_sweep__of_a_batch_that_nobody_expanded__expands_or_expires_it(
    called_back: list[str],
) -> None:
    owner = make_owner()
    new, stuck, late = (make_batch(owner, chat_line("a")) for _ in range(3))
    before = timezone.now() - batches.STUCK
    JobBatch.objects.filter(pk__in=[stuck.pk, late.pk]).update(created_at=before)
    JobBatch.objects.filter(pk=late.pk).update(deadline=before)
    assert batches.sweep() == 1
    states = dict(JobBatch.objects.values_list("pk", "state"))
    assert states == {
        new.pk: "validating",
        stuck.pk: "in_progress",
        late.pk: "expired",
    }
    assert called_back == ["expired"]


def test_batch__submitted_again_with_its_key__is_the_first_one() -> None:
    owner = make_owner()
    file = make_file(owner, chat_line("a"))

    def submit(who: Any = owner, **fields: Any) -> JobBatch:
        asked = {"key": "k", "content": "one", "deadline": timezone.now() + DAY}
        return batches.create_batch(who, file, NewBatch("chat", **{**asked, **fields}))

    first = submit()
    assert submit().pk == first.pk
    assert submit(key=None).pk != first.pk
    assert submit(make_owner()).pk != first.pk
    for other in ({"content": "two"}, {"tags": ["a"]}, {"timed": True}):
        with pytest.raises(Unprocessable):
            submit(**other)


def test_batches__submitted_at_once_with_one_key__are_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner = make_owner()
    file = make_file(owner, chat_line("a"))
    new = NewBatch("chat", timezone.now() + DAY, key="k")
    real = batches._insert
    other: list[JobBatch] = []

    def submit() -> None:
        other.append(batches.create_batch(owner, make_file(owner, {}), new))

    def insert(*given: Any) -> JobBatch:
        # The second one to come is the first to be written.
        monkeypatch.setattr(batches, "_insert", real)
        run_elsewhere(submit)
        return real(*given)

    monkeypatch.setattr(batches, "_insert", insert)
    assert batches.create_batch(owner, file, new).pk == other[0].pk
    monkeypatch.setattr(batches, "find_submitted", lambda owner, new: None)
    with pytest.raises(IntegrityError):
        batches.create_batch(owner, file, new)


def test_batch__of_a_file_deleted_meanwhile__is_refused() -> None:
    owner = make_owner()
    file = make_file(owner, chat_line("a"))
    files.delete_file(owner.customer_id, files.render_id(file.pk))
    with pytest.raises(NotFound):
        batches.create_batch(owner, file, NewBatch("chat", timezone.now() + DAY))


def test_file__that_an_open_batch_needs__is_not_deleted() -> None:
    owner = make_owner()
    batch = make_batch(owner, chat_line("a"))
    text = files.render_id(file_of(batch).pk)
    for _ in range(2):
        with pytest.raises(Conflict, match=f"batch_{batch.pk.hex} needs this file"):
            files.delete_file(owner.customer_id, text)
        expansion.expand_by_id(batch.pk)
    batches.cancel_batch(batch.pk)
    files.delete_file(owner.customer_id, text)
    batch.refresh_from_db()
    assert batch.file_id is None


def test_expired_files__are_deleted__unless_a_batch_has_to_read_them() -> None:
    owner = make_owner()
    needed = make_batch(owner, chat_line("a"))
    old, new = make_file(owner, {}), make_file(owner, {})
    unfinished = files.start_file(owner, "a", files.PURPOSE)
    kept = file_of(needed).pk
    ids = [kept, old.pk, unfinished.pk]
    JobFile.objects.filter(pk__in=ids).update(expires_at=timezone.now())
    assert files.delete_expired() == 2
    assert set(JobFile.objects.values_list("pk", flat=True)) == {kept, new.pk}
    expansion.expand_by_id(needed.pk)
    assert files.delete_expired() == 1


def test_old_batches__are_deleted_with_their_jobs_and_answers__the_others_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "AT_A_TIME", 2)
    old, recent, running = make_running(3), make_running(1), make_running(1)
    for job in jobs_of(old):
        answer(job)
    for one in (old, recent):
        batches.cancel_batch(one.pk)
    refreshed(old)
    now = timezone.now()
    JobBatch.objects.filter(pk=old.pk).update(finished_at=now - dt.timedelta(days=40))
    assert batches.delete_old(now - dt.timedelta(days=30)) == 1
    assert set(JobBatch.objects.values_list("pk", flat=True)) == {recent.pk, running.pk}
    assert Job.objects.count() == 2
    assert JobResult.objects.count() == 0
