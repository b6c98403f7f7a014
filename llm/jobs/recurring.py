"""Jobs that a schedule submits for a customer."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import structlog
from django.core.exceptions import ValidationError

from llm.jobs.owner import owner_of_customer
from llm.jobs.submission import NewJob, submit_job
from llm.jobs.types import build_call
from llm.models import Job, RecurringJob
from valuecanvas.core.errors import (
    GatewayError,
    InvalidRequest,
    NotPermitted,
    Unprocessable,
)

log = structlog.get_logger("jobs")

# By which the clocks of two machines may differ.
SKEW = dt.timedelta(seconds=5)


def submit_due(pk: int, at: dt.datetime) -> Job | None:
    """Submit the job of a schedule that has come due by `at`, once.

    Returns the job, which may be that of an earlier message; or None: it was submitted
    already, it was disabled or deleted meanwhile, or it is refused, as its page says.
    """
    row = RecurringJob.objects.filter(pk=pk, enabled=True).first()
    due = find_due(row, at) if row else None
    if row is None or due is None:
        return None
    job, error = None, ""
    try:
        job = submit_now(row, key=f"recurring:{pk}:{due:%Y-%m-%dT%H:%MZ}")
    except Unprocessable:
        return None  # submitted already, before it was edited
    except GatewayError as refusal:
        error = refusal.message
        log.warning("jobs.recurring_refused", recurring=pk, code=refusal.code)
    RecurringJob.objects.filter(pk=pk).update(error=error[:1000])
    return job


def submit_now(row: RecurringJob, key: str | None = None) -> Job:
    """Submit its job; with a `key` once. Raises GatewayError."""
    if row.customer.suspended:
        raise NotPermitted(
            f"The customer {row.customer} is suspended.", code="customer_suspended"
        )
    new = NewJob(
        type=row.type,
        call=build_call(row.type, row.input),
        tags=row.tags,
        callback_url=row.callback_url,
        recurring_id=row.pk,
        key=key,
    )
    return submit_job(owner_of_customer(row.customer), new)


def find_due(row: RecurringJob, at: dt.datetime) -> dt.datetime | None:
    """The minute of its schedule whose job is still to be submitted, if any, in UTC.

    It follows from the last job, not from the time of the message that asks: a message
    may come twice, and late.
    """
    jobs = row.jobs.order_by("-pk")
    last = jobs.values_list("created_at", flat=True).first()
    if last is None:
        return at.replace(second=0, microsecond=0)
    last, wait, _ = row.crontab.schedule.remaining_delta(
        last.astimezone(row.crontab.timezone)
    )
    due: dt.datetime = (last + wait).astimezone(dt.UTC)
    return due if due <= at + SKEW else None


def check_input(job_type: str, given: Mapping[str, Any]) -> None:
    """Raises ValidationError for the field 'type' or 'input'; its code is the parameter."""
    try:
        build_call(job_type, given)
    except InvalidRequest as error:
        name = "type" if error.param == "type" else "input"
        fault = ValidationError(error.message, code=error.param)
        raise ValidationError({name: fault}) from None
