"""Files, batches and answered lines, as rows."""

import datetime as dt
from collections.abc import Callable
from threading import Thread
from typing import Any

import orjson
from django.db import connections
from django.utils import timezone

from llm.jobs import batches, expansion, files, output
from llm.jobs.batches import NewBatch
from llm.jobs.owner import Owner, owner_of_customer
from llm.jobs.worker.execution import result_owner
from llm.models import Job, JobBatch, JobFile, JobResult, JobState
from tests.fixtures_billing import make_customer
from valuecanvas.core import crypto
from valuecanvas.core.ids import uuid7

DAY = dt.timedelta(days=1)
URL = "/v1/chat/completions"


def make_owner() -> Owner:
    return owner_of_customer(make_customer())


def chat_line(custom_id: str, text: str = "hi", **fields: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": URL,
        "body": body,
        **fields,
    }


def make_file(
    owner: Owner, *lines: Any, purpose: str = files.PURPOSE, cut: int = files.PART_BYTES
) -> JobFile:
    """A finished file, in parts of `cut` bytes."""
    raw = b"\n".join(orjson.dumps(one) for one in lines)
    file = files.start_file(owner, "in.jsonl", purpose)
    for number, at in enumerate(range(0, len(raw), cut)):
        files.add_part(file, number, raw[at : at + cut])
    return files.finish_file(file, len(raw), DAY)


def make_batch(owner: Owner, *lines: Any, **fields: Any) -> JobBatch:
    """A batch whose jobs are not made yet."""
    file = make_file(owner, *lines, purpose=fields.pop("purpose", files.PURPOSE))
    fields.setdefault("deadline", timezone.now() + DAY)
    return batches.create_batch(owner, file, NewBatch("chat", **fields))


def file_of(batch: JobBatch) -> JobFile:
    """The file of its lines."""
    assert batch.file is not None
    return batch.file


def make_running(count: int, owner: Owner | None = None, **fields: Any) -> JobBatch:
    """A batch of so many lines, in progress."""
    lines = [chat_line(f"line {n}") for n in range(1, count + 1)]
    batch = make_batch(owner or make_owner(), *lines, **fields)
    expansion.expand_by_id(batch.pk)
    batch.refresh_from_db()
    assert batch.state == "in_progress"
    return batch


def answer(job: Job, body: bytes = b'{"ok":1}', cost: str = "0.5") -> None:
    """End a job as a worker does that got an answer."""
    Job.objects.filter(pk=job.pk).update(
        state=JobState.SUCCEEDED, due=False, cost_usd=cost, request_id=uuid7()
    )
    JobResult.objects.create(
        job=job,
        status=200,
        sealed=crypto.seal_bytes(body, result_owner(job.pk)),
        created_at=timezone.now(),
    )


def jobs_of(batch: JobBatch) -> list[Job]:
    """Its jobs, in the order of the lines."""
    return list(Job.objects.filter(batch=batch).order_by("line"))


def lines_of(batch: JobBatch, *, failed: bool = False) -> list[Any]:
    raw = b"".join(output.output_lines(batch.pk, failed=failed))
    return [orjson.loads(one) for one in raw.splitlines()]


def run_elsewhere(function: Callable[[], object]) -> None:
    """Run `function` on a database connection of its own, to its end."""

    def work() -> None:
        try:
            function()
        finally:
            connections.close_all()

    thread = Thread(target=work)
    thread.start()
    thread.join()
