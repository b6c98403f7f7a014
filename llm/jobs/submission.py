"""Submits jobs: the row is the job; the message to a worker only makes it start sooner."""

import datetime as dt
import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from llm.jobs import callbacks, doorbell
from llm.jobs.owner import Owner
from llm.jobs.types import JobCall
from llm.models import Job, JobBatch, OnLimit
from llm.models.job import OPEN, USUAL
from valuecanvas.core import crypto
from valuecanvas.core.errors import TooManyRequests, Unprocessable
from valuecanvas.core.ids import uuid7
from valuecanvas.core.telemetry.traces import current_traceparent

C = TypeVar("C", Job, JobBatch)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to submit. Without `run_at` it is due now."""

    type: str
    call: JobCall
    tags: Sequence[str] = ()
    priority: int = USUAL
    run_at: dt.datetime | None = None
    deadline: dt.datetime | None = None
    on_limit: str = OnLimit.WAIT
    callback_url: str = ""
    # The Idempotency-Key: a second submission with it returns the first job.
    key: str | None = None
    recurring_id: int | None = None
    traceparent: str = field(default_factory=current_traceparent)
    id: uuid.UUID = field(default_factory=uuid7)


def submit_job(owner: Owner, new: NewJob) -> Job:
    """Add a job to the queue, or return the one of the same Idempotency-Key.

    Raises TooManyRequests (too many open jobs), Unprocessable (the key was used for
    something else), InvalidRequest (a callback URL too many).
    """
    claim = "" if new.key is None else digest([str(owner.customer_id), "job", new.key])
    fingerprint = "" if new.key is None else digest(_asked(new))
    found = find_claimed(Job, claim, fingerprint)
    if found is not None:
        return found
    try:
        with transaction.atomic():
            job = _insert(owner, new, claim, fingerprint)
            doorbell.ring_worker()
    except IntegrityError:
        # The same key at the same moment.
        found = find_claimed(Job, claim, fingerprint)
        if found is None:
            raise
        return found
    return job


def find_claimed(model: type[C], claim: str, fingerprint: str) -> C | None:
    """The job or batch that an Idempotency-Key was used for. Raises Unprocessable."""
    rows = model._default_manager.filter(claim=claim)
    found = rows.first() if claim else None
    if found is not None and found.fingerprint != fingerprint:
        raise Unprocessable(
            "This Idempotency-Key was used with another body; use a new key.",
            param="Idempotency-Key",
            code="idempotency_key_reused",
        )
    return found


def digest(value: Any) -> str:
    """A digest of JSON, for Idempotency-Keys."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()


def count_open(customer_id: uuid.UUID, adding: int = 1) -> int:
    """How many open jobs the customer has. Raises TooManyRequests at the limit."""
    most = settings.JOBS_OPEN_MAX
    open_jobs: int = Job.objects.filter(customer_id=customer_id, state__in=OPEN).count()
    if open_jobs + adding > most:
        raise TooManyRequests(
            f"A customer may have {most} jobs that have not ended, and {open_jobs} are"
            " open. Submit more once some have ended.",
            code="too_many_jobs",
            headers={"Retry-After": "60"},
        )
    return open_jobs


def seal_body(job_id: uuid.UUID, body: dict[str, Any]) -> bytes:
    return crypto.seal_bytes(orjson.dumps(body), f"job:{job_id}")


def open_body(job: Job) -> dict[str, Any]:
    """The body of a job's call. Raises UnreadableSecret."""
    plain = crypto.unseal_bytes(bytes(job.sealed), f"job:{job.pk}")
    found: dict[str, Any] = orjson.loads(plain)
    return found


def _insert(owner: Owner, new: NewJob, claim: str, fingerprint: str) -> Job:
    now = timezone.now()
    run_at = new.run_at or now
    callbacks.register_callback(owner.customer_id, new.callback_url)
    return Job.objects.create(
        id=new.id,
        **owner.columns(),
        created_at=now,
        type=new.type,
        endpoint=new.call.endpoint,
        sealed=seal_body(new.id, new.call.body),
        recurring_id=new.recurring_id,
        tags=list(new.tags),
        priority=new.priority,
        turn=count_open(owner.customer_id),
        run_at=run_at,
        due=run_at <= now,
        deadline=new.deadline,
        on_limit=new.on_limit,
        callback_url=new.callback_url,
        claim=claim,
        fingerprint=fingerprint,
        traceparent=new.traceparent,
    )


def _asked(new: NewJob) -> list[Any]:
    """What must be the same in a second submission."""
    return [
        new.type, new.call.endpoint, new.call.body, sorted(new.tags), new.priority,
        new.run_at, new.deadline, new.on_limit, new.callback_url,
    ]  # fmt: skip
