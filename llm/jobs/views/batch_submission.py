"""Reads a batch of our own API, checks its lines, and submits it."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.utils import timezone

from llm.jobs import batches, files
from llm.jobs.batches import NewBatch
from llm.jobs.lines import MOST_FAULTS, LineFault, LineReader
from llm.jobs.owner import Owner
from llm.jobs.parsing import (
    parse_callback_url,
    parse_endpoint,
    parse_metadata,
    parse_on_limit,
    parse_priority,
    parse_tags,
    parse_time,
)
from llm.jobs.submission import count_open
from llm.jobs.views import uploads
from llm.jobs.views.base import query
from llm.jobs.views.uploads import Spool
from llm.models import JobBatch
from llm.models.job_batch import BATCH_PRIORITY
from llm.request import idempotency
from llm.translate.typed_fields import a_list, refuse_unknown
from llm.views.base import body_stream, json_body
from valuecanvas.core.api import json_names
from valuecanvas.core.errors import InvalidRequest

JSONL = ("application/x-ndjson", "application/jsonl")
# A batch may take so long, unless its deadline says otherwise.
USUAL_TIME = dt.timedelta(hours=24)
OPTIONS = (
    "endpoint", "tags", "callbackUrl", "onLimit", "deadline", "priority", "metadata",
)  # fmt: skip


async def submit_batch(request: ASGIRequest, owner: Owner) -> JobBatch:
    """Raises InvalidRequest with what is wrong with which lines, and other errors."""
    key = idempotency.parse(request.headers.get("idempotency-key"))
    with uploads.open_spool(request) as spool:
        if request.content_type in JSONL:
            given = _options(request)
            await uploads.receive(request, spool, settings.FILES_MAX_BYTES)
        else:
            given = await _read_json(request, spool)
        total = await asyncio.to_thread(check_lines, spool, parse_endpoint(given))
        new = _new_batch(given, total=total, key=key, content=spool.digest())
        return await _store(request, owner, spool, new)


def check_lines(spool: Spool, endpoint: str) -> int:
    """How many lines there are. Raises InvalidRequest with those that cannot be run."""
    reader = LineReader(endpoint, short=True)
    count, faults = 0, []
    for line in reader.read(iter(lambda: spool.file.read(files.PART_BYTES), b"")):
        if not isinstance(line, LineFault):
            count += 1
            continue
        faults.append(line)
        if len(faults) == MOST_FAULTS:
            break
    if faults:
        where = f"Line {faults[0].line}: " if faults[0].line else ""
        raise InvalidRequest(
            f"Nothing was submitted. {where}{faults[0].message}",
            code=faults[0].code,
            param=faults[0].param,
            extra={"faults": [one.document() for one in faults]},
        )
    spool.file.seek(0)
    return count


async def _read_json(request: ASGIRequest, spool: Spool) -> dict[str, Any]:
    """The options of a JSON body; its requests are written to the spool as lines."""
    request._body = await body_stream(request).read()
    given = await asyncio.to_thread(json_body, request)
    requests = a_list(given.pop("requests", None), "requests")
    lines = b"".join(
        orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in requests
    )
    await asyncio.to_thread(spool.write, lines)
    spool.file.seek(0)
    return given


def _options(request: ASGIRequest) -> dict[str, Any]:
    """The options in the query of a JSONL body."""
    sent = request.GET
    given: dict[str, Any] = sent.dict()
    if "tags" in sent:
        given["tags"] = sent.getlist("tags")
    for name in ("priority", "metadata"):
        if name in sent:
            given[name] = _json(sent[name], name)
    return given


def _json(text: str, name: str) -> Any:
    """What `text` is as JSON; else `text`, which is refused where it is read.

    Raises InvalidRequest for a field that is named twice.
    """
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    json_names.refuse_repeated(text.encode(), f"'{name}'", name)
    return found


def _new_batch(given: Mapping[str, Any], **fields: Any) -> NewBatch:
    """Raises InvalidRequest."""
    refuse_unknown(given, OPTIONS)
    deadline = parse_time(given, "deadline")
    if deadline is not None and deadline <= timezone.now():
        raise InvalidRequest("'deadline' must be in the future.", param="deadline")
    return NewBatch(
        endpoint=parse_endpoint(given),
        deadline=deadline or timezone.now() + USUAL_TIME,
        timed=deadline is not None,
        metadata=parse_metadata(given),
        tags=parse_tags(given),
        priority=parse_priority(given, usual=BATCH_PRIORITY),
        on_limit=parse_on_limit(given),
        callback_url=parse_callback_url(given),
        **fields,
    )


async def _store(
    request: ASGIRequest, owner: Owner, spool: Spool, new: NewBatch
) -> JobBatch:
    """The new batch, or the one of an earlier submission with the same key."""
    found = await query(request, batches.find_submitted, owner, new)
    if found is not None:
        return found
    await query(request, count_open, owner.customer_id, new.total)
    await query(request, files.check_space, owner.customer_id, spool.size)
    file = await query(request, files.start_file, owner, "lines.jsonl", files.LINES)
    file = await uploads.store(request, spool, file, files.UPLOAD_TIME)
    batch = await query(request, batches.create_batch, owner, file, new)
    if batch.file_id != file.pk:
        # The same key at the same moment, and the other one was first.
        await query(request, files.discard_file, file)
    return batch
