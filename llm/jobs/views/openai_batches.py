"""OpenAI's batches."""

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from typing import Any

import orjson
from django.core.handlers.asgi import ASGIRequest
from django.utils import timezone
from drf_spectacular.utils import extend_schema

from llm.jobs import batches, files, output
from llm.jobs.batches import NewBatch
from llm.jobs.owner import Owner, owned_by
from llm.jobs.parsing import parse_endpoint, parse_metadata
from llm.jobs.types import PATHS
from llm.jobs.views import batch_shapes as shapes
from llm.jobs.views.base import JobsView, query, unknown
from llm.jobs.views.batch_acts import cancel_batch, find_batch
from llm.jobs.views.files import openai_page
from llm.jobs.views.listing import parse_limit
from llm.models import BatchState, JobBatch
from llm.replies.http_responses import HotResponse, json_response
from llm.request import idempotency
from llm.translate.typed_fields import refuse_unknown
from llm.views.base import json_body
from valuecanvas.core.api.openapi_schema import answers
from valuecanvas.core.errors import InvalidRequest

_ID = re.compile(r"batch_([0-9a-f]{32})")
WINDOW = "24h"
USUAL, MOST = 20, 100
_FIELDS = ("input_file_id", "endpoint", "completion_window", "metadata")


class OpenAIBatches(JobsView):
    """The caller's batches."""

    @extend_schema(
        operation_id="createBatch",
        summary="Create a batch",
        parameters=[shapes.IDEMPOTENCY_KEY],
        request=shapes.NewOpenAIBatch,
        responses=answers(shapes.OpenAIBatch, 404, 422),
        tags=shapes.OPENAI,
    )
    async def post(self, request: ASGIRequest) -> HotResponse:
        given = json_body(request)
        owner = await self.owner(request)
        key = idempotency.parse(request.headers.get("idempotency-key"))
        return _document(await query(request, _create, owner, given, key))

    @extend_schema(
        operation_id="listBatches",
        summary="Batches",
        parameters=shapes.OPENAI_QUERY,
        responses=answers(shapes.OpenAIBatchList, 404),
        tags=shapes.OPENAI,
    )
    async def get(self, request: ASGIRequest) -> HotResponse:
        owner = await self.owner(request)
        page = await query(request, _list_batches, owner, request.GET.dict())
        return json_response(orjson.dumps(page))


class OpenAIBatchDetail(JobsView):
    """One batch."""

    @extend_schema(
        operation_id="retrieveBatch",
        summary="One batch",
        responses=answers(shapes.OpenAIBatch, 404),
        tags=shapes.OPENAI,
    )
    async def get(self, request: ASGIRequest, batch_id: str) -> HotResponse:
        owner = await self.owner(request)
        batch = await query(request, find_batch, owner, _parse_id(batch_id))
        return _document(batch)


class OpenAIBatchCancel(JobsView):
    """Cancels a batch."""

    @extend_schema(
        operation_id="cancelBatch",
        summary="Cancel a batch",
        description="What was answered stays, and is billed.",
        request=None,
        responses=answers(shapes.OpenAIBatch, 404, 409),
        tags=shapes.OPENAI,
    )
    async def post(self, request: ASGIRequest, batch_id: str) -> HotResponse:
        owner = await self.owner(request)
        return _document(await cancel_batch(request, owner, _parse_id(batch_id)))


def batch_document(batch: JobBatch) -> dict[str, Any]:
    """The batch as OpenAI shows it."""
    errors = {"object": "list", "data": batch.errors} if batch.errors else None
    return {
        "id": _render_id(batch),
        "object": "batch",
        "endpoint": PATHS[batch.endpoint],
        "errors": errors,
        # '' if its lines came by our own API, or the file was deleted.
        "input_file_id": files.render_id(batch.file_id) if batch.file_id else "",
        "completion_window": WINDOW,
        "status": str(batch.state),
        "output_file_id": output.output_id(batch),
        "error_file_id": output.errors_id(batch),
        "created_at": _seconds(batch.created_at),
        "in_progress_at": _seconds(batch.started_at),
        "expires_at": _seconds(batch.deadline),
        "finalizing_at": _at_end(batch, BatchState.COMPLETED),
        "completed_at": _at_end(batch, BatchState.COMPLETED),
        "failed_at": _at_end(batch, BatchState.FAILED),
        "expired_at": _at_end(batch, BatchState.EXPIRED),
        "cancelling_at": _seconds(batch.cancelled_at),
        "cancelled_at": _at_end(batch, BatchState.CANCELLED),
        "request_counts": {
            "total": batch.total,
            "completed": batch.succeeded,
            "failed": batch.failed,
        },
        "metadata": batch.metadata or None,
    }


def _render_id(batch: JobBatch) -> str:
    return f"batch_{batch.pk.hex}"


def _parse_id(text: str) -> uuid.UUID:
    """Raises NotFound."""
    match = _ID.fullmatch(text)
    if match is None:
        raise unknown(text, "batch")
    return uuid.UUID(match.group(1))


def _create(owner: Owner, given: Mapping[str, Any], key: str | None) -> JobBatch:
    """Raises InvalidRequest, NotFound, Unprocessable."""
    refuse_unknown(given, _FIELDS)
    endpoint = parse_endpoint(given)
    if given.get("completion_window") != WINDOW:
        raise InvalidRequest(
            f"'completion_window' must be '{WINDOW}'.", param="completion_window"
        )
    name = given.get("input_file_id")
    if not isinstance(name, str):
        raise InvalidRequest(
            "'input_file_id' is the id of an uploaded file.",
            param="input_file_id",
            code="missing_required_parameter",
        )
    file = files.find(owner.customer_id, name)
    new = NewBatch(
        endpoint=endpoint,
        deadline=timezone.now() + dt.timedelta(hours=24),
        metadata=parse_metadata(given),
        key=key,
        content=name,
    )
    return batches.create_batch(owner, file, new)


def _list_batches(owner: Owner, asked: dict[str, str]) -> dict[str, Any]:
    """Raises InvalidRequest."""
    refuse_unknown(asked, ["limit", "after"])
    limit = parse_limit(asked, usual=USUAL, most=MOST)
    rows = owned_by(JobBatch.objects.all(), owner.customer_id)
    if "after" in asked:
        rows = rows.filter(pk__lt=_parse_id(asked["after"]))
    found = rows.order_by("-pk")[: limit + 1]
    return openai_page([batch_document(one) for one in found], limit)


def _document(batch: JobBatch) -> HotResponse:
    return json_response(orjson.dumps(batch_document(batch)))


def _seconds(at: dt.datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())


def _at_end(batch: JobBatch, state: BatchState) -> int | None:
    """When the batch ended, if it ended in `state`."""
    return _seconds(batch.finished_at) if batch.state == state else None
