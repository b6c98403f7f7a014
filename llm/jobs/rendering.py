"""Jobs and batches as JSON."""

import datetime as dt
from typing import Any

from django.conf import settings

from llm.jobs.types import PATHS
from llm.models import Job, JobBatch


def job_document(job: Job) -> dict[str, Any]:
    """The job as its owner sees it, without its input and its answer."""
    failed = {"code": job.error_code, "message": job.error}
    return {
        "id": str(job.pk),
        "object": "job",
        "type": job.type,
        "state": str(job.state),
        "progress": job.progress,
        "priority": job.priority,
        "tags": job.tags,
        "attempts": job.attempts,
        "maxAttempts": settings.JOBS_ATTEMPTS,
        "onLimit": str(job.on_limit),
        "createdAt": render_time(job.created_at),
        "runAt": render_time(job.run_at),
        "deadline": render_time(job.deadline),
        "startedAt": render_time(job.started_at),
        "finishedAt": render_time(job.finished_at),
        "batchId": str(job.batch_id) if job.batch_id else None,
        "customId": job.custom_id or None,
        "requestId": str(job.request_id) if job.request_id else None,
        "model": job.model or None,
        "costUsd": float(job.cost_usd),
        # Why it failed; while it is queued, what it waits for.
        "error": failed if job.error_code else None,
    }


def batch_document(batch: JobBatch) -> dict[str, Any]:
    """The batch as its owner sees it, without its lines and their answers."""
    ended = batch.succeeded + batch.failed + batch.cancelled
    return {
        "id": str(batch.pk),
        "object": "batch",
        "endpoint": PATHS[batch.endpoint],
        "state": str(batch.state),
        # In percent.
        "progress": 100 * ended // batch.total if batch.total else 0,
        "total": batch.total,
        "succeeded": batch.succeeded,
        "failed": batch.failed,
        "cancelled": batch.cancelled,
        "costUsd": float(batch.cost_usd),
        "priority": batch.priority,
        "tags": batch.tags,
        "metadata": batch.metadata,
        "onLimit": str(batch.on_limit),
        "createdAt": render_time(batch.created_at),
        "deadline": render_time(batch.deadline),
        "startedAt": render_time(batch.started_at),
        "cancelledAt": render_time(batch.cancelled_at),
        "finishedAt": render_time(batch.finished_at),
        # Why it could not be started.
        "errors": batch.errors,
    }


def render_time(at: dt.datetime | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    if at is None:
        return None
    text = at.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
