"""The answers of a batch as JSONL, in the form of OpenAI's output files."""

import datetime as dt
import re
import uuid
from collections.abc import Iterator
from typing import Any

import orjson
from django.conf import settings
from django.db.models import IntegerField, Max, QuerySet, Value
from django.db.models.functions import Coalesce, Length

from llm.jobs.files import not_found
from llm.jobs.owner import owned_by
from llm.jobs.worker.execution import read_result
from llm.models import Job, JobBatch, JobState
from llm.models.job_batch import OPEN_BATCH
from valuecanvas.core.crypto import UnreadableSecret

# Lines read at once: so many, and not much more than so many bytes.
MOST_LINES, MOST_BYTES = 200, 2_097_152
ANSWERED = (JobState.SUCCEEDED,)
UNANSWERED = (JobState.FAILED, JobState.DEAD, JobState.CANCELLED)
_COLUMNS = (
    "custom_id", "request_id", "error", "error_code",
    "jobresult__status", "jobresult__sealed",
)  # fmt: skip
_ID = re.compile(r"file-([0-9a-f]{32})-(output|errors)")


def output_id(batch: JobBatch) -> str | None:
    """The id of the file of its answers; None: it has not ended, or has none."""
    has_any = batch.state not in OPEN_BATCH and batch.succeeded
    return f"file-{batch.pk.hex}-output" if has_any else None


def errors_id(batch: JobBatch) -> str | None:
    """The id of the file of its lines without an answer, if there is one."""
    has_any = batch.state not in OPEN_BATCH and batch.failed + batch.cancelled
    return f"file-{batch.pk.hex}-errors" if has_any else None


def is_output(text: str) -> bool:
    """Whether this is the id of a file of a batch's answers or errors."""
    return _ID.fullmatch(text) is not None


def find_output(customer_id: uuid.UUID, text: str) -> tuple[JobBatch, bool]:
    """The batch whose file has this id, and whether it is that of the errors.

    Raises NotFound.
    """
    match = _ID.fullmatch(text)
    rows = owned_by(JobBatch.objects.all(), customer_id)
    batch = rows.filter(pk=match.group(1)).first() if match else None
    if batch is None or text not in (output_id(batch), errors_id(batch)):
        raise not_found(text)
    return batch, text == errors_id(batch)


def output_lines(batch_id: uuid.UUID, *, failed: bool) -> Iterator[bytes]:
    """All lines so far, a page at a time."""
    after, last = 0, last_line(batch_id)
    while after < last:
        page, after = read_page(batch_id, failed, after)
        yield page


def last_line(batch_id: uuid.UUID) -> int:
    """The number of a batch's last line; 0 without lines."""
    found: int | None = Job.objects.filter(batch=batch_id).aggregate(last=Max("line"))["last"]  # fmt: skip
    return found or 0


def read_page(batch_id: uuid.UUID, failed: bool, after: int) -> tuple[bytes, int]:
    """Some of the lines past line `after`, and the number of the last that was read."""
    states = UNANSWERED if failed else ANSWERED
    # Bounded on both sides: PostgreSQL need not sort all that follows.
    rows = Job.objects.filter(
        batch=batch_id, state__in=states, line__gt=after, line__lte=after + MOST_LINES
    )
    last = _last_of_page(rows, after + MOST_LINES)
    jobs = rows.filter(line__lte=last).select_related("jobresult").order_by("line")
    return b"".join(map(render_line, jobs.only(*_COLUMNS))), last


def _last_of_page(rows: QuerySet[Job], last: int) -> int:
    """The last line to be read with the first of `rows`; `last`, if that is not much."""
    length = Coalesce(Length("jobresult__sealed"), Value(0), output_field=IntegerField())  # fmt: skip
    size, before = 0, 0
    for line, more in rows.order_by("line").values_list("line", length):
        if before and size + more > MOST_BYTES:
            return before
        size, before = size + more, line
    return last


def render_line(job: Job) -> bytes:
    """The line of the output file for a job that has ended."""
    response = error = None
    if hasattr(job, "jobresult"):
        try:
            response = _response(job)
        except UnreadableSecret:
            message = "The answer cannot be read: FIELD_KEY has changed."
            error = {"code": "unreadable", "message": message}
    else:
        error = {"code": job.error_code, "message": job.error}
    line = {
        "id": f"batch_req_{job.pk.hex}",
        "custom_id": job.custom_id,
        "response": response,
        "error": error,
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _response(job: Job) -> dict[str, Any]:
    """Raises UnreadableSecret."""
    body = read_result(job, job.jobresult.sealed)
    # An answer over several lines is written anew; others are passed on as they are.
    whole = orjson.loads(body) if b"\n" in body else orjson.Fragment(body)
    return {
        "status_code": job.jobresult.status,
        "request_id": str(job.request_id),
        "body": whole,
    }


def expiry(batch: JobBatch) -> dt.datetime:
    """When the answers of a batch that has ended are deleted."""
    ended = batch.finished_at or batch.deadline
    return ended + dt.timedelta(days=settings.JOBS_KEEP_DAYS)
