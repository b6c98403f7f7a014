"""Makes the jobs of a batch from the lines of its file: all of them, or none."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from llm.jobs import callbacks, doorbell, files
from llm.jobs.lines import MOST_FAULTS, BatchLine, LineFault, LineReader
from llm.jobs.submission import count_open, seal_body
from llm.jobs.worker.queue import WINDOW
from llm.models import BatchState, Job, JobBatch, JobFile
from valuecanvas.core.crypto import UnreadableSecret
from valuecanvas.core.db import locks
from valuecanvas.core.ids import uuid7

log = structlog.get_logger("jobs")

# Jobs written at once: so many, and not much more than so many bytes.
CHUNK, CHUNK_BYTES = 500, 2_097_152
TYPES = {"chat": "completion", "responses": "completion", "embeddings": "embedding"}


class BadLines(Exception):
    """The batch cannot be run; `faults` say why."""

    def __init__(self, faults: Sequence[LineFault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


class BatchEnded(Exception):
    """The batch was cancelled meanwhile."""


def expand_by_id(pk: str | uuid.UUID) -> None:
    """Make the jobs of a batch, unless that is done or under way.

    A fault in its lines fails the batch. In one transaction: what is interrupted leaves
    nothing, and is begun again by the sweep.
    """
    try:
        with transaction.atomic():
            if locks.try_hold(f"expand:{pk}"):
                rows = JobBatch.objects.filter(pk=pk, state=BatchState.VALIDATING)
                if batch := rows.select_related("file").first():
                    _expand(batch)
    except BadLines as error:
        end_early(pk, BatchState.FAILED, error.faults)
    except BatchEnded:
        log.info("batch.cancelled_early", batch=str(pk))


def end_early(
    pk: str | uuid.UUID, state: BatchState, faults: Sequence[LineFault] = ()
) -> bool:
    """End a batch that has no jobs yet; whether it was still one."""
    now = timezone.now()
    with transaction.atomic():
        changed = JobBatch.objects.filter(pk=pk, state=BatchState.VALIDATING).update(
            state=state,
            errors=[one.document() for one in faults],
            cancelled_at=now if state == BatchState.CANCELLED else None,
            finished_at=now,
        )
        if changed:
            batch = JobBatch.objects.select_related("file").get(pk=pk)
            _drop_lines(batch)
            callbacks.queue_batch_callback(batch)
    return bool(changed)


def _expand(batch: JobBatch) -> None:
    """Raises BadLines, BatchEnded."""
    if batch.file is None:
        raise BadLines([LineFault("file_not_found", "The input file was deleted.")])
    try:
        total = _insert_jobs(batch, batch.file)
    except UnreadableSecret as error:
        message = "The input file cannot be read: FIELD_KEY has changed."
        raise BadLines([LineFault("file_unreadable", message)]) from error
    # Not locked before: whoever cancels it does not wait for this.
    started = JobBatch.objects.filter(pk=batch.pk, state=BatchState.VALIDATING).update(
        state=BatchState.IN_PROGRESS, total=total, started_at=timezone.now()
    )
    if not started:
        raise BatchEnded
    _drop_lines(batch)
    doorbell.ring_worker()
    log.info("batch.expanded", batch=str(batch.pk), lines=total)


def _insert_jobs(batch: JobBatch, file: JobFile) -> int:
    """Insert a job for each line; how many. Raises BadLines, UnreadableSecret."""
    turn = count_open(batch.customer_id, adding=0)
    row = _Row(batch)
    rows: list[list[Any]] = []
    count, size = 0, 0
    for line in _valid_lines(batch, file, settings.JOBS_OPEN_MAX - turn):
        pk = uuid7()
        sealed = seal_body(pk, line.body)
        rows.append(
            row.fill(
                id=pk,
                sealed=sealed,
                line=line.number,
                custom_id=line.custom_id,
                turn=turn + count,
                due=count < WINDOW,
            )
        )
        count, size = count + 1, size + len(sealed)
        if size > CHUNK_BYTES or len(rows) == CHUNK:
            row.copy(rows)
            rows.clear()
            size = 0
    row.copy(rows)
    return count


class _Row:
    """The row of a batch's job. Most of it is the same for all, and made once: COPY takes
    a tenth of the time that the ORM does.
    """

    def __init__(self, batch: JobBatch) -> None:
        job = Job(
            customer_id=batch.customer_id,
            user_id=batch.user_id,
            team=batch.team,
            key=batch.key,
            created_at=batch.created_at,
            type=TYPES[batch.endpoint],
            endpoint=batch.endpoint,
            sealed=b"",
            batch=batch,
            tags=batch.tags,
            priority=batch.priority,
            run_at=batch.created_at,
            on_limit=batch.on_limit,
            traceparent=batch.traceparent,
        )
        fields = Job._meta.concrete_fields
        self._columns = [str(field.column) for field in fields]
        self._at = {name: at for at, name in enumerate(self._columns)}
        self._values = [
            one.get_db_prep_save(getattr(job, one.attname), connection)
            for one in fields
        ]

    def fill(self, **values: Any) -> list[Any]:
        """The row with these values of its own."""
        row = self._values.copy()
        for name, value in values.items():
            row[self._at[name]] = value
        return row

    def copy(self, rows: Sequence[list[Any]]) -> None:
        """Insert the rows."""
        names = ", ".join(self._columns)
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY llm_job ({names}) FROM STDIN") as copy,
        ):
            for one in rows:
                copy.write_row(one)


def _valid_lines(batch: JobBatch, file: JobFile, most: int) -> Iterator[BatchLine]:
    """The lines up to the first fault. Raises BadLines with all faults, at the end."""
    reader = LineReader(batch.endpoint, short=file.purpose == files.LINES)
    faults: list[LineFault] = []
    count = 0
    for line in reader.read(files.read_parts(file.pk)):
        if isinstance(line, BatchLine):
            count += 1
            if count > most:
                raise BadLines([_too_many_jobs(most)])
            if not faults:
                yield line
            continue
        faults.append(line)
        if len(faults) == MOST_FAULTS:
            break
    if faults:
        raise BadLines(faults)


def _too_many_jobs(left: int) -> LineFault:
    return LineFault(
        "too_many_jobs",
        f"A customer may have {settings.JOBS_OPEN_MAX} jobs that have not ended; so you"
        f" may add {max(0, left)} now. Submit more once some have ended.",
    )


def _drop_lines(batch: JobBatch) -> None:
    """Delete the lines of a batch of our own API, which nobody can ask for."""
    if batch.file is not None and batch.file.purpose == files.LINES:
        batch.file.delete()
