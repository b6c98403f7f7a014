"""Rows of jobs, batches, files, workers and recurring jobs."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from billing.models import Customer
from llm.jobs.submission import seal_body
from llm.jobs.worker.execution import result_owner
from llm.models import (
    BatchState,
    Job,
    JobBatch,
    JobFile,
    JobFilePart,
    JobResult,
    JobState,
    JobWorker,
    RecurringJob,
)
from llm.models.job import ENDED
from tests.fixtures_billing import make_customer, unique
from valuecanvas.core.crypto import seal_bytes
from valuecanvas.core.db.periodic_work import find_crontab
from valuecanvas.core.ids import uuid7


def _owner(customer: Customer | None) -> dict[str, Any]:
    if customer is None:
        return {"customer_id": uuid7(), "user_id": "ann"}
    team = customer.team_id or ""
    return {"customer_id": customer.pk, "user_id": customer.user_id, "team": team}


def make_job(
    state: str = JobState.QUEUED,
    customer: Customer | None = None,
    *,
    body: dict[str, Any] | None = None,
    answer: bytes = b"",
    **fields: Any,
) -> Job:
    now, pk = timezone.now(), uuid7()
    values: dict[str, Any] = {
        "type": "completion",
        "endpoint": "chat",
        "created_at": now,
        "run_at": now,
        "due": state == JobState.QUEUED,
        "sealed": seal_body(pk, body or {"model": "fast"}),
        "finished_at": now if state in ENDED else None,
        **_owner(customer),
        **fields,
    }
    job = Job.objects.create(id=pk, state=state, **values)
    if answer:
        sealed = seal_bytes(answer, result_owner(pk))
        JobResult.objects.create(job=job, status=200, sealed=sealed, created_at=now)
    return job


def attempt_of(at: datetime, **fields: Any) -> dict[str, Any]:
    """An entry of a job's history, as the worker writes it."""
    return {
        "attempt": 1,
        "started": at.isoformat(),
        "ended": (at + timedelta(seconds=2)).isoformat(),
        "worker": str(uuid7()),
        "request_id": str(uuid7()),
        "error_code": "upstream_error",
        "error": "overloaded",
        "state": "queued",
        **fields,
    }


def make_job_file(**fields: Any) -> JobFile:
    now = timezone.now()
    values = {
        "filename": "lines.jsonl",
        "size": 1234,
        "created_at": now,
        "expires_at": now + timedelta(days=30),
        **_owner(None),
        **fields,
    }
    found = JobFile.objects.create(**values)
    JobFilePart.objects.create(file=found, number=0, sealed=b"sealed")
    return found


def make_batch(**fields: Any) -> JobBatch:
    now = timezone.now()
    values = {
        "endpoint": "chat",
        "state": BatchState.IN_PROGRESS,
        "total": 10,
        "succeeded": 3,
        "failed": 1,
        "cost_usd": Decimal("0.5"),
        "created_at": now,
        "deadline": now + timedelta(days=1),
        **_owner(None),
        **fields,
    }
    return JobBatch.objects.create(**values)


def make_worker(**fields: Any) -> JobWorker:
    now = timezone.now()
    values = {
        "id": uuid7(), "host": "worker-1", "pid": 17, "slots": 10, "running": 4, "done": 99,
        "cpu": 12.5, "started_at": now, "seen_at": now, **fields,
    }  # fmt: skip
    return JobWorker.objects.create(**values)


def make_recurring(
    crontab: str = "0 9 * * 1", *, zone: str = "UTC", **fields: Any
) -> RecurringJob:
    values = {
        "name": unique("recurring"),
        "type": "canvas_generation",
        "input": {"promptVariables": {"business": "a bakery"}},
        "tags": ["weekly"],
        "crontab": find_crontab(crontab, zone),
        **fields,
    }
    customer = values.pop("customer", None) or make_customer()
    return RecurringJob.objects.create(customer=customer, **values)
