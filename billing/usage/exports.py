"""Usage as CSV and as lines of JSON, in constant memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from django.db.models import Q, QuerySet

from billing.budget_periods import midnight
from billing.models import Usage
from billing.usage.reports import DIMENSIONS, Report, UsageFigures, UsageQuery
from valuecanvas.core.ids import uuid_or_none
from valuecanvas.core.transfer.downloads import csv_lines

PAGE = 2_000
FIGURES = (
    "requests", "ok", "failed", "cached", "corrections", "prompt_tokens",
    "completion_tokens", "cached_tokens", "cost_usd", "provider_cost_usd", "saved_usd",
)  # fmt: skip
# Of a request: what reports know, and how it ended.
COLUMNS = (
    "id", "created_at", "user_id", "customer_id", "team", "key", "model", "provider",
    "upstream_model", "endpoint", "status", "error_code", "prompt_tokens",
    "completion_tokens", "cached_tokens", "cost_usd", "provider_cost_usd", "saved_usd",
    "cached", "latency_ms", "ttft_ms", "prompt_key", "prompt_version", "variant", "tags",
    "job", "marks", "corrects",
)  # fmt: skip


def report_lines(query: UsageQuery, report: Report, kind: str) -> Iterator[bytes]:
    """A report's rows, with the figures of the period before where it compares; `kind` is
    csv or ndjson.
    """
    compared = query.compare and not query.bucket
    before = [f"{name}_before" for name in FIGURES] if compared else []
    bucket = [query.bucket] if query.bucket else []
    names = [*query.group_by, *bucket, *FIGURES, *before]
    if kind == "csv":
        yield csv_lines([names])
    for row in report.rows:
        cells = [*row.keys, *([row.start.isoformat()] if row.start else [])]
        cells += _cells(row.figures)
        if compared:
            cells += _cells(row.before or UsageFigures())
        yield csv_lines([cells]) if kind == "csv" else _json(names, cells)


def _json(names: Sequence[str], cells: Sequence[Any]) -> bytes:
    return orjson.dumps(dict(zip(names, cells, strict=True)), default=str) + b"\n"


def _cells(figures: UsageFigures) -> list[Any]:
    return [getattr(figures, name) for name in FIGURES]


def find_requests(query: UsageQuery) -> QuerySet[Usage]:
    """The rows of the ledger that a report with these days and filters would sum up."""
    rows = Usage.objects.filter(
        created_at__gte=midnight(query.start),
        created_at__lt=midnight(query.end),
    )
    for name, values in query.filters.items():
        rows = rows.filter(_condition(name, values))
    return rows


def _condition(name: str, values: Sequence[str]) -> Q:
    if name == "tag":
        return Q(tags__overlap=list(values))
    if name == "customer":
        return Q(customer_id__in=[one for one in map(uuid_or_none, values) if one])
    if name == "prompt_version":
        parts = [one.rpartition("@") for one in values]
        pairs = [(key, number) for key, _, number in parts if number.isdecimal()]
        found = [Q(prompt_key=key, prompt_version=int(number)) for key, number in pairs]
        return Q(*found, _connector=Q.OR) if found else Q(pk=None)
    return Q(**{f"{DIMENSIONS[name][0][0]}__in": values})


def request_lines(rows: QuerySet[Usage], kind: str) -> Iterator[bytes]:
    """The rows of the ledger, oldest first; `kind` is csv or ndjson.

    Each page begins after the last row: no query reads what was sent before.
    """
    if kind == "csv":
        yield csv_lines([COLUMNS])
    rows = rows.order_by("created_at", "id")
    page = list(rows.values(*COLUMNS)[:PAGE])
    while page:
        if kind == "csv":
            yield csv_lines([one.values() for one in page])
        else:
            yield b"".join(orjson.dumps(one, default=str) + b"\n" for one in page)
        last = page[-1]
        later = Q(created_at__gt=last["created_at"])
        same = Q(created_at=last["created_at"], id__gt=last["id"])
        # The first condition alone is one of the index.
        after = rows.filter(later | same, created_at__gte=last["created_at"])
        page = list(after.values(*COLUMNS)[:PAGE])
