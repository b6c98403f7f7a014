"""The partitions of the ledger: ranges of request ids, one for each month.

A request id is a UUIDv7, which begins with its time, so a month is a range of ids. Ids of
other kinds, and of months without a partition, lie in the partition `llm_usage_other`.
"""

import datetime as dt
import re
import uuid
from dataclasses import dataclass

import structlog
from django.db import IntegrityError, connection, transaction
from django.db.models import Max
from django.utils import timezone

from billing.models import UsageArchive
from valuecanvas.core.db import locks

log = structlog.get_logger("billing.usage")
# Months after the current one that have a partition before they begin.
AHEAD = 3
# Whoever writes waits behind the lock that waits; the work is tried again the next day.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"
_BOUNDS = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'llm_usage'::regclass ORDER BY 1
"""
_RANGE = re.compile(r"FROM \((?:MINVALUE|'(.*)')\) TO \('(.*)'\)")


@dataclass(frozen=True, slots=True)
class Partition:
    """One of the ledger's tables: the requests whose ids are of `first` until before `end`.

    `first` is None for the rows from before the ledger had partitions.
    """

    name: str
    first: dt.date | None
    end: dt.date


def load_partitions() -> list[Partition]:
    """The partitions that have bounds, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_BOUNDS)
        rows = cursor.fetchall()
    found = [
        Partition(name, _day(match[1]) if match[1] else None, _day(match[2]))
        for name, bounds in rows
        if (match := _RANGE.search(bounds))
    ]
    return sorted(found, key=lambda one: one.end)


def first_id(day: dt.date) -> uuid.UUID:
    """The smallest UUIDv7 of a UTC day."""
    start = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
    return uuid.UUID(int=int(start.timestamp()) * 1000 << 80)


def shift_month(day: dt.date, months: int) -> dt.date:
    """The first day of the month that is so many months after that of `day`."""
    count = day.year * 12 + day.month - 1 + months
    return dt.date(count // 12, count % 12 + 1, 1)


def add_months() -> list[str]:
    """Add the missing partitions of this month and the next. Returns their names.

    Raises OperationalError if a lock is not free within two seconds. Call it outside any
    transaction.
    """
    today = timezone.now().date()
    with locks.session_lock("billing.partitions"):
        held = load_partitions()
        wanted = [shift_month(today, ahead) for ahead in range(AHEAD + 1)]
        missing = [
            month
            for month in wanted
            if not any((p.first or month) <= month < p.end for p in held)
        ]
        return [f"llm_usage_{month:%Y_%m}" for month in missing if _add(month)]


def horizon() -> tuple[dt.date | None, uuid.UUID]:
    """What is left: the first day since which no row was archived (None: nothing was),
    and the first id.
    """
    found = UsageArchive.objects.aggregate(day=Max("complete_from"), end=Max("end"))
    end = found["end"]
    return found["day"], first_id(end) if end else uuid.UUID(int=0)


def analyze() -> None:
    """Renew the planner's statistics of the whole ledger: autovacuum sees only its parts."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE llm_usage")


def _add(month: dt.date) -> bool:
    """Whether the partition was added; not where rows of the month lie elsewhere already.

    A check that is validated before, which blocks nobody, spares the lock the reading of
    `llm_usage_other`.
    """
    low, high = first_id(month), first_id(shift_month(month, 1))
    _alter(f"ADD CONSTRAINT no_month CHECK (id < '{low}' OR id >= '{high}') NOT VALID")
    try:
        _alter("VALIDATE CONSTRAINT no_month")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(LOCK_TIMEOUT)
            cursor.execute("SELECT llm_usage_add_month(%s)", [month])
    except IntegrityError:
        log.warning("usage.month_without_partition", month=month.isoformat())
        return False
    finally:
        _alter("DROP CONSTRAINT no_month")
    return True


def _alter(change: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK_TIMEOUT)
        cursor.execute(f"ALTER TABLE llm_usage_other {change}")


def _day(bound: str) -> dt.date:
    seconds = (uuid.UUID(bound).int >> 80) / 1000
    return dt.datetime.fromtimestamp(seconds, dt.UTC).date()
