"""A page of a customer's jobs, newest first."""

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from llm.jobs.owner import Owner, owned_by
from llm.jobs.rendering import job_document
from llm.jobs.types import JOB_TYPES
from llm.models import Job, JobState
from llm.translate.typed_fields import refuse_unknown
from valuecanvas.core.errors import InvalidRequest

USUAL, MOST = 50, 200
_FILTERS = ("state", "type", "tag", "batchId")
CURSOR = OpenApiParameter(
    "cursor", OpenApiTypes.UUID, description="The last page's `nextCursor`."
)


def limit_parameter(usual: int = USUAL, most: int = MOST) -> OpenApiParameter:
    """The size of a page, for the OpenAPI document."""
    bounds = {"type": "integer", "minimum": 1, "maximum": most, "default": usual}
    return OpenApiParameter("limit", bounds, description=f"1 to {most}.")


JOB_QUERY = [
    OpenApiParameter("state", enum=JobState.values),
    OpenApiParameter(
        "type", description="canvas_generation, completion, embedding, or your own."
    ),
    OpenApiParameter("tag"),
    OpenApiParameter("batchId", OpenApiTypes.UUID),
    limit_parameter(),
    CURSOR,
]


def list_jobs(owner: Owner, asked: dict[str, str]) -> dict[str, Any]:
    """The page that a query asks for. Raises InvalidRequest."""
    refuse_unknown(asked, [*_FILTERS, "limit", "cursor"])
    rows = owned_by(Job.objects.defer("sealed", "history"), owner.customer_id)
    if state := _one_of(asked, "state", JobState.values):
        rows = rows.filter(state=state)
    if name := _one_of(asked, "type", list(JOB_TYPES)):
        rows = rows.filter(type=name)
    if "tag" in asked:
        rows = rows.filter(tags__contains=[asked["tag"]])
    if "batchId" in asked:
        rows = rows.filter(batch=parse_uuid(asked, "batchId"))
    if "cursor" in asked:
        rows = rows.filter(pk__lt=parse_uuid(asked, "cursor"))
    limit = parse_limit(asked)
    found = list(rows.order_by("-pk")[: limit + 1])
    more = len(found) > limit
    return {
        "data": [job_document(job) for job in found[:limit]],
        "nextCursor": str(found[limit - 1].pk) if more else None,
    }


def parse_limit(asked: dict[str, str], usual: int = USUAL, most: int = MOST) -> int:
    """The size of a page. Raises InvalidRequest."""
    text = asked.get("limit", str(usual))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise InvalidRequest(f"'limit' must be 1 to {most}.", param="limit")
    return int(text)


def parse_uuid(asked: dict[str, str], name: str) -> uuid.UUID:
    """Raises InvalidRequest."""
    try:
        return uuid.UUID(asked[name])
    except ValueError as error:
        raise InvalidRequest(f"'{name}' is an id.", param=name) from error


def _one_of(asked: dict[str, str], name: str, known: list[str]) -> str | None:
    value = asked.get(name)
    if value is not None and value not in known:
        raise InvalidRequest(
            f"'{name}' is one of: {', '.join(sorted(known))}.", param=name
        )
    return value
