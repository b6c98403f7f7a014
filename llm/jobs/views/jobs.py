"""Submits jobs, and shows and ends them."""

import orjson
from django.core.handlers.asgi import ASGIRequest
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema

from llm.jobs import actions
from llm.jobs.owner import Owner, owned_by
from llm.jobs.parsing import parse_job
from llm.jobs.rendering import job_document
from llm.jobs.submission import submit_job
from llm.jobs.views import shapes
from llm.jobs.views.base import JobsView, parse_id, query, unknown
from llm.jobs.views.listing import JOB_QUERY, list_jobs
from llm.jobs.worker.execution import read_result
from llm.models import Job, JobState
from llm.models.job import OPEN
from llm.replies.http_responses import EventStream, HotResponse, json_response
from llm.replies.stored import JSON
from llm.request import idempotency
from llm.request.stored_prompt import rename_fields
from llm.views.base import call_of, json_body, runtime
from valuecanvas.core.api.openapi_schema import answers, event_stream
from valuecanvas.core.errors import Conflict, GatewayError

TAG = ["Jobs"]
EVENTS = (
    "`event: job`, then `data: ` and the job as JSON; the last one is that of its end."
)


class Jobs(JobsView):
    """The caller's jobs."""

    @extend_schema(
        operation_id="submitJob",
        summary="Submit a job",
        description="Answered at once; a worker makes the call later. With an "
        "Idempotency-Key, a second submission returns the first job.",
        parameters=[shapes.IDEMPOTENCY_KEY],
        request=shapes.NewJobShape,
        responses=answers(shapes.JobShape, 404, 422, status=202),
        tags=TAG,
    )
    async def post(self, request: ASGIRequest) -> HotResponse:
        given = json_body(request)
        owner = await self.owner(request)
        key = idempotency.parse(request.headers.get("idempotency-key"))
        new = parse_job(given, key=key)
        call = call_of(request, new.call.endpoint, new.call.body)
        # The model, the prompt and its variables, so that mistakes are told at once.
        try:
            await runtime(request).pipeline.check(call)
        except GatewayError as error:
            rename_fields(error)
            raise
        job = await query(request, submit_job, owner, new)
        return _document(job, 202)

    @extend_schema(
        operation_id="listJobs",
        summary="List jobs",
        parameters=JOB_QUERY,
        responses=answers(shapes.JobPage),
        tags=TAG,
    )
    async def get(self, request: ASGIRequest) -> HotResponse:
        owner = await self.owner(request)
        page = await query(request, list_jobs, owner, request.GET.dict())
        return json_response(orjson.dumps(page))


class JobDetail(JobsView):
    """One job."""

    @extend_schema(
        operation_id="getJob",
        summary="One job",
        responses=answers(shapes.JobShape, 404, 409),
        tags=TAG,
    )
    async def get(self, request: ASGIRequest, job_id: str) -> HotResponse:
        owner = await self.owner(request)
        return _document(await query(request, find_job, owner, job_id))


class JobAnswer(JobsView):
    """The answer to a job: what a live request would have got."""

    @extend_schema(
        operation_id="getJobResult",
        summary="A job's answer",
        description="The body of the answer, in the form of OpenAI's API. 409 until the "
        "job has succeeded; the message says why.",
        responses=answers(shapes.Answer, 404, 409),
        tags=TAG,
    )
    async def get(self, request: ASGIRequest, job_id: str) -> HotResponse:
        owner = await self.owner(request)
        job, body = await query(request, _answer, owner, job_id)
        headers = {
            "Content-Type": JSON,
            "x-valuecanvas-cost-usd": f"{job.cost_usd:f}",
            "x-valuecanvas-original-request-id": str(job.request_id),
        }
        return HotResponse(body, headers)


class JobProgress(JobsView):
    """The job's changes as server-sent events, until it has ended."""

    @extend_schema(
        operation_id="watchJob",
        summary="Watch a job",
        description="Server-sent events: `event: job` with the job after each change, "
        "the first one at once. The stream ends after the job has.",
        responses=answers(event_stream(EVENTS), 404, kind=shapes.EVENT_STREAM),
        tags=TAG,
    )
    async def get(self, request: ASGIRequest, job_id: str) -> HotResponse:
        owner = await self.owner(request)
        job = await query(request, find_job, owner, job_id)
        request.scope["valuecanvas.watch_client"]()
        return EventStream(runtime(request).job_watch.add(job), {})


class JobCancel(JobsView):
    """Cancels a job."""

    @extend_schema(
        operation_id="cancelJob",
        summary="Cancel a job",
        description="In any state: one that has ended stays as it is. A running one "
        "ends within seconds, and what was sent to a provider is billed.",
        request=None,
        responses=answers(shapes.JobShape, 404, 409),
        tags=TAG,
    )
    async def post(self, request: ASGIRequest, job_id: str) -> HotResponse:
        owner = await self.owner(request)
        return _document(await query(request, _cancel, owner, job_id))


class JobRetry(JobsView):
    """Queues a job again."""

    @extend_schema(
        operation_id="retryJob",
        summary="Retry a job",
        description="For one that failed, is a dead letter or was cancelled.",
        request=None,
        responses=answers(shapes.JobShape, 404, 409),
        tags=TAG,
    )
    async def post(self, request: ASGIRequest, job_id: str) -> HotResponse:
        owner = await self.owner(request)
        return _document(await query(request, _retry, owner, job_id))


def find_job(owner: Owner, job_id: str) -> Job:
    """Raises NotFound."""
    job = _rows(owner, job_id).first()
    if job is None:
        raise unknown(job_id)
    return job


def _rows(owner: Owner, job_id: str) -> QuerySet[Job]:
    rows = owned_by(Job.objects.all(), owner.customer_id)
    return rows.filter(pk=parse_id(job_id))


def _cancel(owner: Owner, job_id: str) -> Job:
    actions.cancel(_rows(owner, job_id), by="its owner")
    return find_job(owner, job_id)


def _retry(owner: Owner, job_id: str) -> Job:
    changed = actions.retry(_rows(owner, job_id), by="its owner")
    job = find_job(owner, job_id)
    if not changed:
        raise Conflict(_no_retry(job), code="job_not_retryable")
    return job


def _no_retry(job: Job) -> str:
    if job.batch_id:
        return (
            "This job is a line of a batch: submit a new batch with the failed lines."
        )
    if job.state in actions.RETRIED:
        return "The deadline of this job has passed."
    return f"This job is {job.state}: only one that has failed can be retried."


def _answer(owner: Owner, job_id: str) -> tuple[Job, bytes]:
    """The job and its answer. Raises NotFound, Conflict."""
    job = find_job(owner, job_id)
    if job.state in OPEN:
        raise Conflict(
            f"This job is {job.state}: its answer is not there yet.",
            code="job_not_finished",
            headers={"Retry-After": "1"},
        )
    if job.state != JobState.SUCCEEDED:
        raise Conflict(
            f"This job has no answer, it is {job.get_state_display().lower()}: "
            f"{job.error} ({job.error_code})",
            code="job_not_answered",
            headers={"x-should-retry": "false"},
        )
    return job, read_result(job, job.jobresult.sealed)


def _document(job: Job, status: int = 200) -> HotResponse:
    return json_response(orjson.dumps(job_document(job)), status=status)
