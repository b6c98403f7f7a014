"""Files that are sent while they are made: CSV that is safe in spreadsheets, lines of JSON."""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

from valuecanvas.core.admin.bases import NO_STORE
from valuecanvas.core.audit.record import record

# What a spreadsheet may take for a formula (OWASP ASVS 1.2.10).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# The same where another cell begins for a spreadsheet whose language separates by `;`.
_INNER = re.compile(rf"([;\t\r\n][\s\"]*)(?=[{re.escape(''.join(FORMULA))}])")
KINDS = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}


def safe_cell(value: Any) -> Any:
    """A value for a cell: text that a spreadsheet would calculate gets a quote before it."""
    if isinstance(value, list | tuple):
        value = " ".join(map(str, value))
    if not isinstance(value, str):
        return value
    quote = "'" if value.startswith(FORMULA) else ""
    return quote + _INNER.sub(r"\1'", value)


def csv_lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """The rows by RFC 4180."""
    text = io.StringIO()
    csv.writer(text).writerows([safe_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def download(
    name: str, pieces: Iterator[bytes], filters: Mapping[str, Any] | None = None
) -> StreamingHttpResponse:
    """The answer that sends `pieces` as a file, each once it is made; it is audited."""
    record("data.exported", label=name, detail=filters)
    return StreamingHttpResponse(
        _stream(pieces),
        content_type=KINDS[name.rpartition(".")[2]],
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": NO_STORE,
        },
    )


async def _stream(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await sync_to_async(lambda: next(pieces, b""))():
        yield piece
