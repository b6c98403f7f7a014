"""The output files of batches."""

import pytest
from pytest_django import Settings

from llm.jobs import output
from llm.models import Job, JobResult, JobState
from tests.llm.jobs.rows import (
    answer,
    chat_line,
    jobs_of,
    lines_of,
    make_batch,
    make_owner,
    make_running,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_output__of_lines__is_in_their_order_and_as_openai_writes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = make_running(7)
    found = jobs_of(batch)
    for job in reversed(found[:5]):
        answer(job, b'{"line":\n %d}' % (job.line or 0))
    Job.objects.filter(pk=found[5].pk).update(
        state=JobState.FAILED, due=False, error_code="bad", error="It is bad."
    )
    monkeypatch.setattr(output, "MOST_LINES", 2)
    ok, failed = lines_of(batch), lines_of(batch, failed=True)
    assert [one["custom_id"] for one in ok] == [f"line {n}" for n in range(1, 6)]
    found[0].refresh_from_db()
    assert ok[0] == {
        "id": f"batch_req_{found[0].pk.hex}",
        "custom_id": "line 1",
        "response": {
            "status_code": 200,
            "request_id": str(found[0].request_id),
            "body": {"line": 1},
        },
        "error": None,
    }
    assert failed == [
        {
            "id": f"batch_req_{found[5].pk.hex}",
            "custom_id": "line 6",
            "response": None,
            "error": {"code": "bad", "message": "It is bad."},
        }
    ]


def test_output__of_large_answers__is_read_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = make_running(5)
    for job in jobs_of(batch):
        answer(job, b'"' + b"x" * 1000 + b'"')
    monkeypatch.setattr(output, "MOST_BYTES", 2500)
    pages = list(output.output_lines(batch.pk, failed=False))
    assert [page.count(b"\n") for page in pages] == [2, 2, 1]


def test_output__that_cannot_be_read__says_so_in_its_line(settings: Settings) -> None:
    batch = make_running(2)
    one, two = jobs_of(batch)
    answer(one)
    answer(two)
    sealed = JobResult.objects.get(job=two).sealed
    JobResult.objects.filter(job=one).update(sealed=sealed)
    first, second = lines_of(batch)
    assert (first["response"], first["error"]["code"]) == (None, "unreadable")
    assert second["response"]["body"] == {"ok": 1}


def test_output__of_a_batch_without_lines__is_empty() -> None:
    batch = make_batch(make_owner(), chat_line("a"))
    assert lines_of(batch) == []
