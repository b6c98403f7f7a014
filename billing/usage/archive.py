"""Takes old months out of the ledger: into a file that is verified, then out of the database."""

import datetime as dt
import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from billing.models import UsageArchive
from billing.usage import partitions, rollup
from billing.usage.partitions import Partition
from valuecanvas.core.db import locks

log = structlog.get_logger("billing.usage")
_EXPORT = 'COPY (SELECT row_to_json(u) FROM "{}" u ORDER BY id) TO STDOUT'
_SUMS = """
SELECT count(*), coalesce(sum(cost_usd), 0), coalesce(sum(provider_cost_usd), 0),
       greatest(max(day), max((created_at AT TIME ZONE 'utc')::date))
FROM "{}"
"""


class ArchiveError(Exception):
    """A month could not be archived, and is still in the database; the text says why."""


@dataclass(frozen=True, slots=True)
class ArchiveSums:
    """What a partition and its file must have in common. Amounts are USD."""

    rows: int
    cost: Decimal
    provider_cost: Decimal


def due_partitions(today: dt.date | None = None) -> list[Partition]:
    """The partitions older than USAGE_KEEP_MONTHS whole months, oldest first."""
    if not settings.USAGE_KEEP_MONTHS:
        return []
    today = today or timezone.now().date()
    kept_from = partitions.shift_month(today, -settings.USAGE_KEEP_MONTHS)
    return [one for one in partitions.load_partitions() if one.end <= kept_from]


def archive_due(today: dt.date | None = None) -> list[UsageArchive]:
    """Archive every partition that is due. Raises ArchiveError, and OSError of the folder.

    Call it outside any transaction.
    """
    due = due_partitions(today)
    if due:
        # Their sums stay when they are gone.
        rollup.catch_up()
    with locks.session_lock("billing.partitions"):
        return [_archive(one) for one in due if one in partitions.load_partitions()]


def _archive(partition: Partition) -> UsageArchive:
    folder = Path(settings.USAGE_ARCHIVE_DIR)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{partition.name}.ndjson.gz"
    draft = path.with_suffix(".draft")
    try:
        _export(partition.name, draft)
        sums, digest = _read_back(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    made = _take_out(partition, sums, path, digest)
    log.info("usage.archived", partition=partition.name, rows=sums.rows, path=str(path))
    return made


def _export(table: str, draft: Path) -> None:
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with (
        os.fdopen(handle, "wb") as file,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as target,
        connection.cursor() as cursor,
        cursor.copy(_EXPORT.format(table)) as copy,
    ):
        for (line,) in copy.rows():
            target.write(line.encode() + b"\n")
        target.close()
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of an archive. Amounts are Decimal."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line, parse_float=Decimal)


def _read_back(path: Path) -> tuple[ArchiveSums, str]:
    """The sums of the file as it can be read, and its SHA-256."""
    rows, cost, provider_cost = 0, Decimal(0), Decimal(0)
    for row in read_lines(path):
        rows += 1
        cost += row["cost_usd"]
        provider_cost += row["provider_cost_usd"]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ArchiveSums(rows, cost, provider_cost), digest


def _take_out(
    partition: Partition, sums: ArchiveSums, path: Path, digest: str
) -> UsageArchive:
    """Drop the partition, in the transaction that compares it with its file."""
    name = partition.name
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(partitions.LOCK_TIMEOUT)
        cursor.execute(f'LOCK TABLE "{name}" IN EXCLUSIVE MODE')
        cursor.execute(_SUMS.format(name))
        rows, cost, provider_cost, last = cursor.fetchone()
        if ArchiveSums(rows, cost, provider_cost) != sums:
            raise ArchiveError(
                f"{path} has {sums.rows} rows of {sums.cost} USD, {name} has {rows} of "
                f"{cost}: it was changed meanwhile. Nothing was removed; run it again."
            )
        cursor.execute(f'ALTER TABLE llm_usage DETACH PARTITION "{name}"')
        cursor.execute(f'DROP TABLE "{name}"')
        return UsageArchive.objects.create(
            name=name,
            end=partition.end,
            complete_from=(last or partition.end) + dt.timedelta(days=1),
            path=str(path),
            sha256=digest,
            rows=rows,
            cost_usd=cost,
        )
