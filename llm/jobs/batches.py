"""Batches of jobs: submitted, cancelled, counted and ended."""

import datetime as dt
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from llm.jobs import callbacks, doorbell, expansion, files
from llm.jobs.owner import Owner
from llm.jobs.submission import digest, find_claimed
from llm.models import BatchState, Job, JobBatch, JobFile, OnLimit
from llm.models.job_batch import BATCH_PRIORITY
from valuecanvas.core.telemetry.traces import current_traceparent

# Lines of one statement.
AT_A_TIME = 2000
# A batch that no worker has expanded by now is expanded by the sweep.
STUCK = dt.timedelta(seconds=10)
RECENT = dt.timedelta(minutes=2)
# Running lines of a cancelled batch may go on so long.
GRACE = dt.timedelta(seconds=1)

# Rows that a worker is just claiming are skipped, so that nobody waits for the other: the
# next refresh of the batch has them. What runs already is let run for a while, as its
# answer will be billed.
_END_LINES = """
UPDATE llm_job SET state = %(state)s, due = false, error_code = %(code)s,
    error = %(message)s, finished_at = now()
WHERE id IN (
    SELECT j.id FROM llm_job j JOIN llm_job_batch b ON b.id = j.batch_id
    WHERE b.id = %(batch)s AND {condition} AND j.state = 'queued'
    ORDER BY j.due DESC, j.line LIMIT %(most)s FOR UPDATE OF j SKIP LOCKED)
"""
_CANCEL = _END_LINES.format(condition="b.state = 'cancelling'")
_EXPIRE = _END_LINES.format(condition="b.state = 'in_progress' AND b.deadline <= now()")
# What was cut off by a cancellation is billed a little later than that.
_REFRESH = """
UPDATE llm_job_batch b
SET succeeded = c.succeeded, failed = c.failed, cancelled = c.cancelled,
    cost_usd = c.cost,
    state = CASE WHEN c.open > 0 THEN b.state
        WHEN b.cancelled_at IS NOT NULL THEN 'cancelled'
        WHEN c.late > 0 THEN 'expired' ELSE 'completed' END,
    finished_at = CASE WHEN c.open > 0 THEN NULL ELSE coalesce(b.finished_at, now()) END
FROM (
    SELECT count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE state IN ('failed', 'dead')) AS failed,
        count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
        count(*) FILTER (WHERE state IN ('queued', 'running')) AS open,
        count(*) FILTER (WHERE error_code = 'batch_expired') AS late,
        coalesce(sum(cost_usd), 0) AS cost
    FROM llm_job WHERE batch_id = %(batch)s) c
WHERE b.id = %(batch)s AND b.state IN ('in_progress', 'cancelling', 'cancelled')
RETURNING b.finished_at = now()
"""


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch to submit; `endpoint` is chat, embeddings or responses."""

    endpoint: str
    deadline: dt.datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    priority: int = BATCH_PRIORITY
    on_limit: str = OnLimit.WAIT
    callback_url: str = ""
    # The number of lines, if they were counted.
    total: int = 0
    # The Idempotency-Key: a second submission with it returns the first batch.
    key: str | None = None
    # What is submitted, for the key: a file's id, or a digest of the lines.
    content: str = ""
    # Whether the deadline was asked for: else a second submission has another one.
    timed: bool = False
    traceparent: str = field(default_factory=current_traceparent)


def find_submitted(owner: Owner, new: NewBatch) -> JobBatch | None:
    """The batch of an earlier submission with the key. Raises Unprocessable."""
    return find_claimed(JobBatch, _claim(owner, new), _fingerprint(new))


def create_batch(owner: Owner, file: JobFile, new: NewBatch) -> JobBatch:
    """Submit a batch of the lines in `file`, or return the one of the same key.

    Raises NotFound (the file was deleted), Unprocessable (the key was used for something
    else).
    """
    found = find_submitted(owner, new)
    if found is not None:
        return found
    callbacks.register_callback(owner.customer_id, new.callback_url)
    try:
        with transaction.atomic():
            # Whoever deletes the file waits, and finds the batch.
            rows = JobFile.objects.select_for_update().filter(pk=file.pk)
            if not rows.exists():
                raise files.not_found(files.render_id(file.pk))
            batch = _insert(owner, file, new)
            doorbell.ask_to_expand(str(batch.pk))
    except IntegrityError:
        # The same key at the same moment.
        found = find_submitted(owner, new)
        if found is None:
            raise
        return found
    return batch


def start_cancel(pk: uuid.UUID) -> bool:
    """Start no more lines of a batch; whether it was open. `cancel_lines` goes on."""
    if expansion.end_early(pk, BatchState.CANCELLED):
        return True
    rows = JobBatch.objects.filter(pk=pk, state=BatchState.IN_PROGRESS)
    now = timezone.now()
    return bool(rows.update(state=BatchState.CANCELLING, cancelled_at=now))


def cancel_lines(pk: uuid.UUID) -> int:
    """Cancel queued lines of a batch that is cancelling, AT_A_TIME at most; how many."""
    return _end_lines(
        _CANCEL,
        pk,
        state="cancelled",
        code="batch_cancelled",
        message="The batch was cancelled before this request was answered.",
    )


def cancel_batch(pk: uuid.UUID) -> bool:
    """Cancel a batch; whether it was open. Its running lines end within seconds."""
    changed = start_cancel(pk)
    # Cancels its queued lines too.
    refresh([pk])
    return changed


def find_unwanted(ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the running jobs whose batch was cancelled a while ago."""
    before = timezone.now() - GRACE
    rows = Job.objects.filter(
        pk__in=ids, batch__state=BatchState.CANCELLING, batch__cancelled_at__lt=before
    )
    return set(rows.values_list("pk", flat=True))


def expire_lines(pk: uuid.UUID) -> int:
    """Fail queued lines of a batch past its deadline, AT_A_TIME at most; how many."""
    return _end_lines(
        _EXPIRE,
        pk,
        state="failed",
        code="batch_expired",
        message="This request could not be run before the batch expired.",
    )


def refresh(ids: Collection[uuid.UUID]) -> None:
    """Count the lines of batches under way again, and end those without open lines."""
    for pk in sorted(ids):
        while cancel_lines(pk):
            pass
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_REFRESH, {"batch": pk})
            if cursor.fetchone() == (True,):
                callbacks.queue_batch_callback(JobBatch.objects.get(pk=pk))


def sweep() -> int:
    """Expand, expire and refresh the open batches that need it; how many there are."""
    now = timezone.now()
    waiting = JobBatch.objects.filter(state=BatchState.VALIDATING)
    stuck = waiting.filter(created_at__lte=now - STUCK).values_list("pk", "deadline")
    for pk, deadline in list(stuck):
        if deadline <= now:
            expansion.end_early(pk, BatchState.EXPIRED)
        else:
            expansion.expand_by_id(pk)
    running = Q(state__in=(BatchState.IN_PROGRESS, BatchState.CANCELLING))
    recent = Q(state=BatchState.CANCELLED, finished_at__gt=now - RECENT)
    rows = JobBatch.objects.filter(running | recent)
    ids = list(rows.values_list("pk", flat=True))
    for pk in ids:
        while expire_lines(pk):
            pass
    refresh(ids)
    return len(ids)


def delete_old(until: dt.datetime) -> int:
    """Delete batches that ended before `until`, with their jobs; how many."""
    old = list(
        JobBatch.objects.filter(finished_at__lt=until).values_list("pk", flat=True)
    )
    for pk in old:
        jobs = Job.objects.filter(batch=pk)
        while ids := list(jobs.values_list("pk", flat=True)[:AT_A_TIME]):
            Job.objects.filter(pk__in=ids).delete()
        JobBatch.objects.filter(pk=pk).delete()
    return len(old)


def _end_lines(statement: str, pk: uuid.UUID, **values: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"batch": pk, "most": AT_A_TIME, **values})
        return int(cursor.rowcount)


def _insert(owner: Owner, file: JobFile, new: NewBatch) -> JobBatch:
    return JobBatch.objects.create(
        **owner.columns(),
        created_at=timezone.now(),
        endpoint=new.endpoint,
        file=file,
        metadata=dict(new.metadata),
        tags=list(new.tags),
        priority=new.priority,
        on_limit=new.on_limit,
        callback_url=new.callback_url,
        total=new.total,
        deadline=new.deadline,
        claim=_claim(owner, new),
        fingerprint=_fingerprint(new),
        traceparent=new.traceparent,
    )


def _claim(owner: Owner, new: NewBatch) -> str:
    if new.key is None:
        return ""
    return digest([str(owner.customer_id), "batch", new.key])


def _fingerprint(new: NewBatch) -> str:
    """What must be the same in a second submission."""
    asked: list[Any] = [
        new.endpoint, new.content, new.metadata, sorted(new.tags), new.priority,
        new.on_limit, new.callback_url, new.deadline if new.timed else None,
    ]  # fmt: skip
    return "" if new.key is None else digest(asked)
