"""The jobs of a batch: all of its lines become one, or none does."""

from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings

from llm.jobs import batches, callbacks, expansion, files
from llm.jobs.submission import open_body
from llm.jobs.worker.queue import WINDOW
from llm.models import Job, JobBatch, JobFile, JobFilePart
from tests.llm.jobs.rows import (
    chat_line,
    file_of,
    make_batch,
    make_file,
    make_owner,
    run_elsewhere,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def called_back(monkeypatch: pytest.MonkeyPatch) -> list[JobBatch]:
    """The batches whose callbacks are queued."""
    found: list[JobBatch] = []
    monkeypatch.setattr(callbacks, "queue_batch_callback", found.append)
    return found


def expanded(batch: JobBatch) -> JobBatch:
    expansion.expand_by_id(str(batch.pk))
    batch.refresh_from_db()
    return batch


def jobs(batch: JobBatch) -> list[Job]:
    return list(Job.objects.filter(batch=batch).order_by("line"))


def test_batch__of_valid_lines__has_a_job_for_each() -> None:
    owner = make_owner()
    options: Any = {"tags": ["a"], "priority": 8, "on_limit": "fail"}
    lines = [chat_line(f"ü {n}", "hello " * 50) for n in range(40)]
    batch = make_batch(owner, *lines, **options)
    expanded(batch)
    assert (batch.state, batch.total) == ("in_progress", 40)
    assert batch.started_at is not None
    found = jobs(batch)
    assert [(one.line, one.custom_id) for one in found] == [
        (n + 1, f"ü {n}") for n in range(40)
    ]
    assert [open_body(one) for one in found] == [one["body"] for one in lines]
    first = found[0]
    assert first.customer_id == owner.customer_id
    assert (first.type, first.endpoint, first.state) == ("completion", "chat", "queued")
    assert (first.tags, first.priority, first.on_limit) == (["a"], 8, "fail")
    assert (first.callback_url, first.history, first.attempts) == ("", [], 0)
    assert [one.turn for one in found] == list(range(40))
    assert all(one.due for one in found)


def test_batch__of_many_lines__has_only_its_first_ones_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expansion, "CHUNK", 7)
    batch = make_batch(make_owner(), *(chat_line(str(n)) for n in range(WINDOW + 30)))
    found = jobs(expanded(batch))
    assert sum(one.due for one in found) == WINDOW
    assert [one.due for one in found[:WINDOW]] == [True] * WINDOW


def test_second_batch__of_the_same_owner__waits_its_turn() -> None:
    owner = make_owner()
    expanded(make_batch(owner, chat_line("a"), chat_line("b")))
    second = expanded(make_batch(owner, chat_line("a")))
    assert [one.turn for one in jobs(second)] == [2]


def test_expansion__again__changes_nothing() -> None:
    batch = expanded(make_batch(make_owner(), chat_line("a")))
    [job] = jobs(batch)
    expanded(batch)
    assert [one.pk for one in jobs(batch)] == [job.pk]


def test_expansion__while_another_process_does_it__does_nothing() -> None:
    batch = make_batch(make_owner(), chat_line("a"))
    other = connections["default"].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_lock(hashtextextended(%s, 0))",
                [f"expand:{batch.pk}"],
            )
        expanded(batch)
        assert batch.state == "validating"
    finally:
        other.close()
    assert expanded(batch).state == "in_progress"


def test_expansion__interrupted_midway__leaves_nothing_and_is_done_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = make_batch(make_owner(), *(chat_line(str(n)) for n in range(20)))
    monkeypatch.setattr(expansion, "CHUNK", 5)
    real, calls = expansion._Row.copy, 0

    def fail(self: Any, rows: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        real(self, rows)

    monkeypatch.setattr(expansion._Row, "copy", fail)
    with pytest.raises(KeyboardInterrupt):
        expansion.expand_by_id(batch.pk)
    batch.refresh_from_db()
    assert (batch.state, jobs(batch)) == ("validating", [])
    assert len(jobs(expanded(batch))) == 20


def test_batch__cancelled_while_it_is_expanded__gets_no_jobs(
    monkeypatch: pytest.MonkeyPatch, called_back: list[JobBatch]
) -> None:
    batch = make_batch(make_owner(), *(chat_line(str(n)) for n in range(20)))
    monkeypatch.setattr(expansion, "CHUNK", 5)
    real = files.read_parts

    def cancel_first(file_id: Any) -> Any:
        run_elsewhere(lambda: batches.cancel_batch(batch.pk))
        yield from real(file_id)

    monkeypatch.setattr(files, "read_parts", cancel_first)
    expanded(batch)
    assert (batch.state, jobs(batch)) == ("cancelled", [])
    assert [one.pk for one in called_back] == [batch.pk]


def test_batch__with_bad_lines__fails_as_a_whole_and_names_them(
    called_back: list[JobBatch],
) -> None:
    lines = [chat_line("a"), chat_line("a"), chat_line("c"), chat_line("d", url="/x")]
    batch = expanded(make_batch(make_owner(), *lines))
    assert (batch.state, jobs(batch)) == ("failed", [])
    assert batch.finished_at is not None
    assert [(one["line"], one["code"]) for one in batch.errors] == [
        (2, "duplicate_custom_id"),
        (4, "url_mismatch"),
    ]
    assert [one.pk for one in called_back] == [batch.pk]


def test_batch__with_many_bad_lines__names_fifty() -> None:
    batch = expanded(make_batch(make_owner(), *([{}] * 80)))
    assert len(batch.errors) == 50


def test_batch__of_more_jobs_than_its_owner_may_have__fails(settings: Settings) -> None:
    settings.JOBS_OPEN_MAX = 3
    owner = make_owner()
    expanded(make_batch(owner, chat_line("a"), chat_line("b")))
    batch = expanded(make_batch(owner, chat_line("a"), chat_line("b")))
    [fault] = batch.errors
    assert (batch.state, fault["code"]) == ("failed", "too_many_jobs")
    assert "add 1 now" in fault["message"]
    assert expanded(make_batch(owner, chat_line("a"))).state == "in_progress"


def test_batch__whose_file_is_gone_or_unreadable__fails(settings: Settings) -> None:
    owner = make_owner()
    gone = make_batch(owner, chat_line("a"))
    file_of(gone).delete()
    assert expanded(gone).errors[0]["code"] == "file_not_found"
    exchanged = make_batch(owner, chat_line("a"))
    other = make_file(owner, chat_line("b"))
    sealed = JobFilePart.objects.get(file=other).sealed
    JobFilePart.objects.filter(file=exchanged.file_id).update(sealed=sealed)
    assert expanded(exchanged).errors[0]["code"] == "file_unreadable"


def test_lines__of_our_own_api__are_deleted_once_the_jobs_are_made() -> None:
    owner = make_owner()
    line = {"custom_id": "a", "body": {"model": "m"}}
    batch = expanded(make_batch(owner, line, purpose=files.LINES))
    assert (batch.state, batch.file_id) == ("in_progress", None)
    bad = expanded(make_batch(owner, {}, purpose=files.LINES))
    assert (bad.state, bad.file_id) == ("failed", None)
    assert JobFile.objects.count() == 0
