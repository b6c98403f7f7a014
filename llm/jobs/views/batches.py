"""Our own API of batches: submitted as JSON or JSONL, with results while they run."""

import orjson
from django.core.handlers.asgi import ASGIRequest
from drf_spectacular.utils import extend_schema

from llm.jobs.owner import Owner, owned_by
from llm.jobs.rendering import batch_document
from llm.jobs.views import batch_shapes as shapes
from llm.jobs.views.base import JobsView, parse_id, query
from llm.jobs.views.batch_acts import cancel_batch, find_batch
from llm.jobs.views.batch_submission import submit_batch
from llm.jobs.views.files import download, read_output
from llm.jobs.views.listing import parse_limit, parse_uuid
from llm.models import JobBatch
from llm.replies.http_responses import HotResponse, json_response
from llm.translate.typed_fields import refuse_unknown
from valuecanvas.core.api.openapi_schema import answers
from valuecanvas.core.errors import InvalidRequest


class Batches(JobsView):
    """The caller's batches."""

    streams_body = True

    @extend_schema(
        operation_id="submitBatch",
        summary="Submit a batch",
        description="As JSON, or as JSONL with a `custom_id` and a `body` a line and the "
        "options in the query. Every line is checked: 400 names those that cannot be "
        "run in `faults`, and nothing is submitted.",
        parameters=[shapes.IDEMPOTENCY_KEY],
        request={
            "application/json": shapes.NewBatchShape,
            "application/x-ndjson": shapes.BatchLineShape,
        },
        responses=answers(shapes.BatchShape, 413, 422, status=202),
        tags=shapes.JOBS,
    )
    async def post(self, request: ASGIRequest) -> HotResponse:
        owner = await self.owner(request)
        return _document(await submit_batch(request, owner), 202)

    @extend_schema(
        operation_id="listJobBatches",
        summary="List batches",
        parameters=shapes.BATCH_QUERY,
        responses=answers(shapes.BatchPage),
        tags=shapes.JOBS,
    )
    async def get(self, request: ASGIRequest) -> HotResponse:
        owner = await self.owner(request)
        page = await query(request, _list_batches, owner, request.GET.dict())
        return json_response(orjson.dumps(page))


class BatchDetail(JobsView):
    """One batch."""

    @extend_schema(
        operation_id="getJobBatch",
        summary="One batch, with its progress",
        responses=answers(shapes.BatchShape, 404),
        tags=shapes.JOBS,
    )
    async def get(self, request: ASGIRequest, batch_id: str) -> HotResponse:
        owner = await self.owner(request)
        pk = parse_id(batch_id, "batch")
        return _document(await query(request, find_batch, owner, pk))


class BatchAnswers(JobsView):
    """The answers of a batch."""

    @extend_schema(
        operation_id="getJobBatchResults",
        summary="A batch's answers so far",
        description="JSONL in the form of OpenAI's output files, in the order of the "
        "lines; also while the batch runs.",
        parameters=[shapes.FAILED],
        responses=answers(shapes.OutputLine, 404, kind=shapes.NDJSON),
        tags=shapes.JOBS,
    )
    async def get(self, request: ASGIRequest, batch_id: str) -> HotResponse:
        owner = await self.owner(request)
        failed = _parse_failed(request.GET.dict())
        pk = parse_id(batch_id, "batch")
        batch = await query(request, find_batch, owner, pk)
        return download(read_output(request, batch, failed), kind=shapes.NDJSON)


class BatchCancel(JobsView):
    """Cancels a batch."""

    @extend_schema(
        operation_id="cancelJobBatch",
        summary="Cancel a batch",
        description="Lines that are not answered are cancelled; the others stay, and "
        "are billed.",
        request=None,
        responses=answers(shapes.BatchShape, 404, 409),
        tags=shapes.JOBS,
    )
    async def post(self, request: ASGIRequest, batch_id: str) -> HotResponse:
        owner = await self.owner(request)
        pk = parse_id(batch_id, "batch")
        return _document(await cancel_batch(request, owner, pk))


def _list_batches(owner: Owner, asked: dict[str, str]) -> dict[str, object]:
    """Raises InvalidRequest."""
    refuse_unknown(asked, ["limit", "cursor"])
    limit = parse_limit(asked)
    rows = owned_by(JobBatch.objects.all(), owner.customer_id)
    if "cursor" in asked:
        rows = rows.filter(pk__lt=parse_uuid(asked, "cursor"))
    found = list(rows.order_by("-pk")[: limit + 1])
    more = len(found) > limit
    return {
        "data": [batch_document(one) for one in found[:limit]],
        "nextCursor": str(found[limit - 1].pk) if more else None,
    }


def _parse_failed(asked: dict[str, str]) -> bool:
    """Raises InvalidRequest."""
    refuse_unknown(asked, ["failed"])
    value = asked.get("failed", "false")
    if value not in ("true", "false"):
        raise InvalidRequest("'failed' is 'true' or 'false'.", param="failed")
    return value == "true"


def _document(batch: JobBatch, status: int = 200) -> HotResponse:
    return json_response(orjson.dumps(batch_document(batch)), status=status)
