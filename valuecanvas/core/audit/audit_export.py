"""The audit as CSV and as lines of JSON, in constant memory."""

from collections.abc import Iterator
from typing import Any

import orjson
from django.db.models import QuerySet

from valuecanvas.core.audit.models import AuditEntry
from valuecanvas.core.audit.sentences import describe
from valuecanvas.core.transfer.downloads import csv_lines

PAGE = 2_000
COLUMNS = (
    "id", "at", "actor", "actor_kind", "address", "request_id", "action", "kind",
    "object_id", "label", "reason", "before", "after",
)  # fmt: skip


def export_lines(rows: QuerySet[AuditEntry], kind: str) -> Iterator[bytes]:
    """`rows`, newest first, many lines at a time; `kind` is csv or ndjson."""
    if kind == "csv":
        yield csv_lines([(*COLUMNS, "sentence")])
    rows = rows.order_by("-id")
    page = list(rows[:PAGE])
    while page:
        if kind == "csv":
            yield csv_lines([[*_cells(one), describe(one)] for one in page])
        else:
            yield b"".join(orjson.dumps(_values(one)) + b"\n" for one in page)
        page = list(rows.filter(id__lt=page[-1].pk)[:PAGE])


def _values(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in COLUMNS}


def _cells(entry: AuditEntry) -> list[Any]:
    values = _values(entry)
    for name in ("before", "after"):
        values[name] = orjson.dumps(values[name]).decode() if values[name] else ""
    return [*(values | {"at": entry.at.isoformat()}).values()]
