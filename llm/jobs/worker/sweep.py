"""Repairs the queue every few seconds, and deletes old jobs."""

import datetime as dt
import uuid
from collections.abc import Sequence

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from llm.jobs import batches, callbacks, files
from llm.jobs.worker import queue
from llm.models import Job, JobState, JobWorker
from llm.models.job import ENDED, OPEN

log = structlog.get_logger("jobs")

# Rows of one statement.
AT_A_TIME = 1000
# A worker that has written nothing this long is gone.
GONE_S = 60

# The attempt counts, so that a job that kills its worker ends as a dead letter.
_FREE = """
UPDATE llm_job
SET state = CASE WHEN attempts >= %(most)s THEN 'dead' ELSE 'queued' END,
    worker = NULL, lease_until = NULL, progress = 0, losses = losses + 1, due = attempts < %(most)s,
    error_code = 'worker_lost',
    error = 'Its worker ended, or lost the database, while it ran.',
    finished_at = CASE WHEN attempts >= %(most)s THEN now() END,
    history = history || jsonb_build_object(
        'attempt', attempts, 'started', started_at, 'ended', now(), 'worker', worker,
        'error_code', 'worker_lost', 'state',
        CASE WHEN attempts >= %(most)s THEN 'dead' ELSE 'queued' END)
WHERE id IN (
    SELECT id FROM llm_job WHERE state = 'running' AND lease_until < now()
    ORDER BY lease_until LIMIT %(at_a_time)s FOR UPDATE SKIP LOCKED)
RETURNING id
"""


def sweep() -> dict[str, int]:
    """Free the jobs of lost workers, end those past their deadline, finish batches."""
    found = {
        "freed": free_lost(),
        "late": end_late(),
        "batches": batches.sweep(),
        "due": queue.feed(),
    }
    gone = timezone.now() - dt.timedelta(seconds=GONE_S)
    JobWorker.objects.filter(seen_at__lt=gone).delete()
    if found["freed"] or found["late"]:
        log.warning("jobs.swept", **found)
    return found


def free_lost() -> int:
    """Queue jobs again whose lease has expired, or end them; how many."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            values = {"most": settings.JOBS_ATTEMPTS, "at_a_time": AT_A_TIME}
            cursor.execute(_FREE, values)
            ids = [row[0] for row in cursor.fetchall()]
        _call_back(ids)
    return len(ids)


def end_late() -> int:
    """End jobs past their deadline; how many. A running one ends soon."""
    with transaction.atomic():
        rows = Job.objects.filter(
            state__in=OPEN, deadline__lt=timezone.now(), batch=None
        )
        locked = rows.order_by("pk").select_for_update(skip_locked=True)
        ids = list(locked.values_list("pk", flat=True)[:AT_A_TIME])
        Job.objects.filter(pk__in=ids).update(
            state=JobState.FAILED,
            due=False,
            worker=None,
            lease_until=None,
            error_code="deadline_passed",
            error="It had not ended by its deadline.",
            finished_at=timezone.now(),
        )
        _call_back(ids)
    return len(ids)


def purge() -> dict[str, int]:
    """Delete old jobs with their results, old batches, and expired files."""
    until = timezone.now() - dt.timedelta(days=settings.JOBS_KEEP_DAYS)
    old = Job.objects.filter(finished_at__lt=until, state__in=ENDED, batch=None)
    deleted = 0
    while ids := list(old.values_list("pk", flat=True)[:AT_A_TIME]):
        Job.objects.filter(pk__in=ids).delete()
        deleted += len(ids)
    return {
        "jobs": deleted,
        "batches": batches.delete_old(until),
        "files": files.delete_expired(),
    }


def _call_back(ids: Sequence[uuid.UUID]) -> None:
    rows = Job.objects.filter(pk__in=ids, state__in=ENDED).exclude(callback_url="")
    for job in rows:
        callbacks.queue_job_callback(job)
