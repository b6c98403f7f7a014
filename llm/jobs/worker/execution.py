"""Runs one job: one call through the pipeline, and what its end means for the job."""

import datetime as dt
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from billing.auth.callers import Callers
from billing.auth.principal import Principal
from llm.jobs.submission import open_body
from llm.jobs.worker import job_trace
from llm.jobs.worker.queue import CustomerHold, End
from llm.models import Job, JobState, OnLimit
from llm.request import idempotency
from llm.runtime import Runtime
from llm.types import Call, Reply
from valuecanvas.core import crypto
from valuecanvas.core.errors import (
    BudgetExceeded,
    Conflict,
    GatewayError,
    QuotaExceeded,
    TooManyRequests,
    Unavailable,
)
from valuecanvas.core.ids import uuid7
from valuecanvas.core.telemetry import traces
from valuecanvas.core.telemetry.redaction import redact
from valuecanvas.core.telemetry.request_context import RequestContext

log = structlog.get_logger("jobs")

CHANNEL = "job"
# The first wait after a failed attempt, and the longest, in seconds.
BACKOFF_S, MOST_BACKOFF_S = 2.0, 300.0
# A job waits so long in all for a provider or the ledger, in seconds; then it counts as
# failed attempts.
MOST_PATIENCE_S = 86_400.0
# And at most so long at a time: a breaker may be closed by hand.
MOST_OUTAGE_WAIT_S = 30.0
# No wait is longer: limits may be raised meanwhile.
MOST_WAIT_S = 900.0
# Refusals that a retry cannot change.
PERMANENT = frozenset({400, 401, 403, 404, 409, 413, 415, 422})


def result_owner(job_id: uuid.UUID) -> str:
    """The name that a job's result is encrypted for."""
    return f"job-result:{job_id}"


@dataclass(frozen=True, slots=True)
class JobAttempt:
    """One run of a job; `id` is that of its request."""

    job: Job
    id: uuid.UUID = field(default_factory=uuid7)
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    def end(self, state: JobState, **values: Any) -> End:
        """Its end in `state`."""
        return End(self.job, state, self.started, self.id, **values)


async def run_attempt(gateway: Runtime, attempt: JobAttempt) -> End:
    """Run a job, and say how that ended. Raises CancelledError."""
    ids = {"request_id": str(attempt.id), "job_id": str(attempt.job.pk)}
    with (
        RequestContext(attempt.job.endpoint, ids) as done,
        job_trace.start(attempt.job, attempt.id),
    ):
        end = await _run(gateway, attempt, done)
        job_trace.describe(end)
        return end


async def _run(gateway: Runtime, attempt: JobAttempt, done: RequestContext) -> End:
    try:
        end = await _answer(gateway, attempt)
        # Without an event of its own the answer is that of an earlier attempt.
        done.status, done.replayed = 200, True
        return end
    except crypto.UnreadableSecret:
        done.status, done.code = 500, "unreadable"
        message = "Its input cannot be decrypted: FIELD_KEY has changed."
        return attempt.end(JobState.FAILED, error_code="unreadable", error=message)
    except GatewayError as error:
        done.refuse(error)
        return end_of_error(attempt, error)
    except Exception as error:
        log.exception("job.crashed")
        crash = GatewayError("An internal error; the log of the worker has more.")
        done.refuse(crash)
        crash.__cause__ = error
        return end_of_error(attempt, crash)


def make_call(attempt: JobAttempt) -> Call:
    """The call that the job makes. Raises UnreadableSecret."""
    job = attempt.job
    return Call(
        id=attempt.id,
        endpoint=job.endpoint,
        body=open_body(job),
        identify=_identify(job),
        idempotency_key=str(job.pk),
        channel=CHANNEL,
        trace_id=traces.current_trace_id(),
        job=str(job.pk),
        share=1.0 if job.batch_id is None else settings.JOBS_BATCH_SHARE,
        size=len(job.sealed),
    )


async def _answer(gateway: Runtime, attempt: JobAttempt) -> End:
    job, call = attempt.job, make_call(attempt)
    try:
        reply = await gateway.pipeline.run(call)
    except TooManyRequests as error:
        if call.share == 1 or _may_retry(error):
            raise
        # Too large for the part of a batch, but perhaps not for the whole limit.
        reply = await gateway.pipeline.run(replace(call, share=1.0))
    if not isinstance(reply, Reply):
        raise TypeError("A request without 'stream' is answered whole.")
    summary = reply.summary
    end = attempt.end(
        JobState.SUCCEEDED,
        status=reply.status,
        body=crypto.seal_bytes(reply.body, result_owner(job.pk)),
        cost=summary.cost,
        model=summary.model,
        claim=idempotency.claim_id(call, job.customer_id),
    )
    # That of the first answer, if an earlier attempt got one.
    return replace(end, request_id=uuid.UUID(summary.request_id))


def end_of_error(attempt: JobAttempt, error: GatewayError) -> End:
    """The end of an attempt that was refused or failed: another try, or the last one."""
    job = attempt.job
    end = attempt.end(
        JobState.QUEUED,
        # They may be a provider's own texts.
        error_code=redact(error.code or error.type),
        error=redact(error.message),
    )
    if error.status == Conflict.status and _may_retry(error):
        # An earlier attempt is not settled yet: the crash recovery ends it.
        wait = _seconds(error) + random.uniform(1, 3)  # noqa: S311 - no secret
        return replace(end, wait_s=wait, counts=False)
    if error.status == TooManyRequests.status:
        return _limited(job, error, end)
    if error.status == Unavailable.status and _age_s(job) < MOST_PATIENCE_S:
        # No provider, or no ledger, at this moment: not the job's fault.
        wait = max(backoff(1 + len(job.history)), _seconds(error))
        wait = min(wait, MOST_OUTAGE_WAIT_S)
        return replace(end, wait_s=wait, counts=False, hold=_hold_lines(job, wait))
    if error.status in PERMANENT or not _may_retry(error):
        return replace(end, state=JobState.FAILED)
    if job.attempts >= settings.JOBS_ATTEMPTS:
        return replace(end, state=JobState.DEAD)
    return replace(end, wait_s=max(backoff(job.attempts), _seconds(error)))


def requeue(attempt: JobAttempt) -> End:
    """The end of an attempt that its worker gave up: the job is queued again."""
    return attempt.end(
        JobState.QUEUED,
        error_code="worker_stopped",
        error="Its worker was stopped; another one runs it.",
        counts=False,
    )


def backoff(attempts: int) -> float:
    """Seconds before the next attempt: doubled each time, with jitter."""
    longest: float = min(BACKOFF_S * 2 ** (attempts - 1), MOST_BACKOFF_S)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret


def _limited(job: Job, error: GatewayError, end: End) -> End:
    """Wait until the limit resets; or fail, where waiting cannot help or is not wanted."""
    used_up = isinstance(error, QuotaExceeded | BudgetExceeded)
    never = not used_up and not _may_retry(error)
    if never or (used_up and job.on_limit == OnLimit.FAIL):
        return replace(end, state=JobState.FAILED)
    # A budget without a period has no reset, but may be raised.
    wait = min(_seconds(error, MOST_WAIT_S if used_up else 1.0), MOST_WAIT_S)
    hold = None if isinstance(error, BudgetExceeded) else _hold_lines(job, wait)
    if isinstance(error, QuotaExceeded):
        hold = CustomerHold(job.customer_id, wait, everything=True)
    wait *= random.uniform(1, 1.1)  # noqa: S311 - no secret
    return replace(end, wait_s=wait, counts=False, hold=hold)


def _hold_lines(job: Job, wait_s: float) -> CustomerHold | None:
    """The other lines of its customer's batches wait too: they would fare the same."""
    if job.batch_id is None:
        return None
    return CustomerHold(job.customer_id, wait_s, everything=False)


def _age_s(job: Job) -> float:
    """Seconds since its first attempt began."""
    if not job.history:
        return 0.0
    began = dt.datetime.fromisoformat(job.history[0]["started"])
    return (timezone.now() - began).total_seconds()


def _may_retry(error: GatewayError) -> bool:
    return error.headers.get("x-should-retry") != "false"


def _seconds(error: GatewayError, usual: float = 1.0) -> float:
    """What the error's Retry-After asks for, in seconds."""
    try:
        return max(1.0, float(error.headers.get("Retry-After", usual)))
    except ValueError:
        return usual


def _identify(job: Job) -> Callable[[Callers], Awaitable[Principal]]:
    """Looks up the job's owner when the job runs: a key revoked since is refused."""

    async def identify(callers: Callers) -> Principal:
        if not job.key:
            return await callers.load_user(job.user_id, team=job.team)
        principal = await callers.load_key(job.key)
        if principal.customer_id == job.customer_id:
            return principal
        return await callers.act_for(principal, job.user_id)

    return identify


def read_result(job: Job, sealed: Any) -> bytes:
    """The answer to a job, as the client of a live request gets it."""
    return crypto.unseal_bytes(bytes(sealed), result_owner(job.pk))
