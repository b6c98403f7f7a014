"""OpenAI's files: uploaded for batches, and the output of batches."""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import orjson
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema

from llm.jobs import files, output
from llm.jobs.owner import Owner
from llm.jobs.views import batch_shapes as shapes
from llm.jobs.views import uploads
from llm.jobs.views.base import JobsView, query
from llm.jobs.views.listing import parse_limit
from llm.models import JobBatch, JobFile
from llm.replies.http_responses import (
    DownloadParts,
    HotResponse,
    StreamedResponse,
    json_response,
)
from llm.translate.typed_fields import refuse_unknown
from valuecanvas.core.api.openapi_schema import answers
from valuecanvas.core.errors import Conflict, InvalidRequest

MOST_FILES = 10_000


class Files(JobsView):
    """The caller's uploaded files."""

    streams_body = True

    @extend_schema(
        operation_id="uploadFile",
        summary="Upload a file for a batch",
        request={"multipart/form-data": shapes.UploadShape},
        responses=answers(shapes.FileShape, 413),
        tags=shapes.OPENAI,
    )
    async def post(self, request: ASGIRequest) -> HotResponse:
        owner = await self.owner(request)
        most = settings.FILES_MAX_BYTES
        declared = int(request.headers.get("content-length") or 0)
        await query(request, files.check_space, owner.customer_id, min(declared, most))
        with uploads.open_spool(request) as spool:
            await uploads.receive(request, spool, most + uploads.FORM_BYTES)
            form = await asyncio.to_thread(uploads.parse_form, request.META, spool)
            file = await query(
                request, files.start_file, owner, form.filename, files.PURPOSE
            )
            file = await uploads.store(request, spool, file, form.lifetime)
        return json_response(orjson.dumps(file_document(file)))

    @extend_schema(
        operation_id="listFiles",
        summary="Uploaded files",
        description="Without the output of batches, whose ids the batches name.",
        parameters=shapes.FILE_QUERY,
        responses=answers(shapes.FileList, 404),
        tags=shapes.OPENAI,
    )
    async def get(self, request: ASGIRequest) -> HotResponse:
        owner = await self.owner(request)
        page = await query(request, _list_files, owner, request.GET.dict())
        return json_response(orjson.dumps(page))


class FileDetail(JobsView):
    """One file."""

    @extend_schema(
        operation_id="retrieveFile",
        summary="One file",
        responses=answers(shapes.FileShape, 404),
        tags=shapes.OPENAI,
    )
    async def get(self, request: ASGIRequest, file_id: str) -> HotResponse:
        owner = await self.owner(request)
        if not output.is_output(file_id):
            file = await query(request, files.find, owner.customer_id, file_id)
            return json_response(orjson.dumps(file_document(file)))
        found = await query(request, output.find_output, owner.customer_id, file_id)
        size = 0
        async for part in read_output(request, *found):
            size += len(part)
        return json_response(orjson.dumps(output_document(*found, size)))

    @extend_schema(
        operation_id="deleteFile",
        summary="Delete a file",
        description="409 while a batch that has not ended needs it.",
        responses=answers(shapes.FileDeleted, 404, 409),
        tags=shapes.OPENAI,
    )
    async def delete(self, request: ASGIRequest, file_id: str) -> HotResponse:
        owner = await self.owner(request)
        if output.is_output(file_id):
            await query(request, output.find_output, owner.customer_id, file_id)
            raise Conflict(
                "The output of a batch is deleted with the batch, "
                f"{settings.JOBS_KEEP_DAYS} days after its end.",
                code="file_in_use",
            )
        await query(request, files.delete_file, owner.customer_id, file_id)
        body = {"id": file_id, "object": "file", "deleted": True}
        return json_response(orjson.dumps(body))


class FileContent(JobsView):
    """The content of a file."""

    @extend_schema(
        operation_id="downloadFile",
        summary="A file's content",
        responses=answers(OpenApiTypes.BINARY, 404, kind=shapes.BINARY),
        tags=shapes.OPENAI,
    )
    async def get(self, request: ASGIRequest, file_id: str) -> HotResponse:
        owner = await self.owner(request)
        if output.is_output(file_id):
            found = await query(request, output.find_output, owner.customer_id, file_id)
            return download(read_output(request, *found))
        file = await query(request, files.find, owner.customer_id, file_id)
        return download(_read_file(request, file.pk), file.size)


def download(
    parts: AsyncGenerator[bytes, None],
    size: int | None = None,
    kind: str = shapes.BINARY,
) -> HotResponse:
    """The response that sends `parts`, of `size` bytes if that is known."""
    length = {} if size is None else {"Content-Length": str(size)}
    return StreamedResponse(DownloadParts(parts), {"Content-Type": kind, **length})


async def read_output(
    request: ASGIRequest, batch: JobBatch, failed: bool
) -> AsyncGenerator[bytes, None]:
    """The output of a batch, page by page."""
    after, last = 0, await query(request, output.last_line, batch.pk)
    while after < last:
        page, after = await query(request, output.read_page, batch.pk, failed, after)
        yield page


async def _read_file(
    request: ASGIRequest, file_id: uuid.UUID
) -> AsyncGenerator[bytes, None]:
    number = 0
    while (part := await query(request, files.read_part, file_id, number)) is not None:
        yield part
        number += 1


def file_document(file: JobFile) -> dict[str, Any]:
    """An uploaded file as OpenAI shows it."""
    return {
        "id": files.render_id(file.pk),
        "object": "file",
        "bytes": file.size,
        "created_at": int(file.created_at.timestamp()),
        "expires_at": int(file.expires_at.timestamp()),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
    }


def output_document(batch: JobBatch, failed: bool, size: int) -> dict[str, Any]:
    """The output of a batch as OpenAI shows it."""
    ended = batch.finished_at or batch.created_at
    sort = "errors" if failed else "output"
    return {
        "id": output.errors_id(batch) if failed else output.output_id(batch),
        "object": "file",
        "bytes": size,
        "created_at": int(ended.timestamp()),
        "expires_at": int(output.expiry(batch).timestamp()),
        "filename": f"batch_{batch.pk.hex}_{sort}.jsonl",
        "purpose": "batch_output",
        "status": "processed",
    }


def _list_files(owner: Owner, asked: dict[str, str]) -> dict[str, Any]:
    """Raises InvalidRequest."""
    refuse_unknown(asked, ["purpose", "limit", "order", "after"])
    limit = parse_limit(asked, usual=MOST_FILES, most=MOST_FILES)
    order = asked.get("order", "desc")
    if order not in ("asc", "desc"):
        raise InvalidRequest("'order' is 'asc' or 'desc'.", param="order")
    rows = files.visible(owner.customer_id)
    if asked.get("purpose", files.PURPOSE) != files.PURPOSE:
        rows = rows.none()
    if "after" in asked:
        after = files.parse_id(asked["after"])
        rows = rows.filter(pk__lt=after) if order == "desc" else rows.filter(pk__gt=after)  # fmt: skip
    rows = rows.order_by("-pk" if order == "desc" else "pk")
    return openai_page([file_document(one) for one in rows[: limit + 1]], limit)


def openai_page(found: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A page as OpenAI has it, of `found`, which has one more if there are more."""
    data = found[:limit]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": len(found) > limit,
    }
