"""Sums up the ledger by hour, day and week, as it grows, and again from its rows."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import Min

from billing.budget_periods import midnight
from billing.models import RollupState, Usage, UsageHour
from billing.usage import partitions, weeks
from billing.usage.levels import DIMENSIONS, LEVELS, Level
from billing.usage.sums import COUNTED, LATENCY, NONE, RAW, SUMMED, insert_into
from valuecanvas.core.db import locks

log = structlog.get_logger("billing.usage")
DAY = dt.timedelta(days=1)
# A row is visible by then: its created_at is not before its transaction's start, and no
# transaction that writes rows is open for five minutes. What is older at its insert is
# noted by a trigger (LateDay); its ten seconds overlap with those here.
BOUND = """
SELECT greatest(
    least(now(), min(xact_start)), now() - interval '5 minutes'
) - interval '10 seconds'
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
AND pid <> pg_backend_pid()
"""


def _insert(level: Level) -> str:
    """The statement that adds the rows of [low, high) to the sums of a level."""
    dimensions = [
        RAW.get(name, name) if name in level.columns else NONE.get(name, "''")
        for name in DIMENSIONS
    ]
    groups = ", ".join(dimensions[DIMENSIONS.index(name)] for name in level.columns)
    start = f"date_trunc('{level.grain}', created_at, 'UTC')"
    shown = ", ".join(
        f"{s} AS {n}" for s, n in zip(dimensions, DIMENSIONS, strict=True)
    )
    counted = ", ".join(f"{sql} AS {name}" for name, sql in COUNTED.items())
    added = ", ".join(f"{name} = h.{name} + excluded.{name}" for name in SUMMED)
    return f"""{insert_into(level)} (
    SELECT {start} AS start, {shown}, {counted}, {LATENCY} AS latency
    FROM llm_usage WHERE created_at >= %(low)s AND created_at < %(high)s
    GROUP BY {start}, {groups}
) AS found
ON CONFLICT (id, level) DO UPDATE SET {added},
    latency = usage_latency(h.latency || excluded.latency)
"""  # noqa: S608 - names of this package


_INSERTS = [_insert(level) for level in LEVELS]


def catch_up(most_days: int | None = None) -> dt.datetime | None:
    """Add what the ledger has got since; sum up late days again. Returns up to when.

    Works in steps of a day, at most `most_days`, each a transaction: a crash between
    loses nothing. None: the ledger is empty. Call it outside any transaction.
    """
    steps = 0
    while True:
        until, more = _step()
        steps += 1
        if not more or steps == most_days:
            break
    while _sum_next_week():
        pass
    return until


def rebuild(
    first: dt.date | None = None,
    last: dt.date | None = None,
    progress: Callable[[dt.date], None] = lambda day: None,
) -> int:
    """Sum up the days again from the rows of the ledger. Returns the number of days.

    Without `first` from the first day whose rows are all in the database. Days before
    that are left alone: their rows are archived.
    """
    until = catch_up()
    if until is None:
        return 0
    start = first_day()
    first = max(one for one in (first, start) if one)
    last = min(one for one in (last, until.date()) if one)
    days = [first + n * DAY for n in range((last - first).days + 1)]
    for day in days:
        with transaction.atomic(durable=True):
            locks.hold("billing.rollup")
            _sum_days([day], _state().until or until)
        progress(day)
    return len(days)


def first_day() -> dt.date | None:
    """The first day whose rows are all in the database; None: there are no rows."""
    complete_from, _ = partitions.horizon()
    oldest = Usage.objects.aggregate(at=Min("created_at"))["at"]
    days = [day for day in (oldest and oldest.date(), complete_from) if day]
    return max(days, default=None)


def _state() -> RollupState:
    return RollupState.objects.get_or_create(pk=1)[0]


def _step() -> tuple[dt.datetime | None, bool]:
    """Add one day's rows at most. Returns up to when, and whether there are more."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        locks.hold("billing.rollup")
        state = _state()
        cursor.execute(BOUND)
        bound: dt.datetime = cursor.fetchone()[0]
        rows = Usage.objects.filter(created_at__lt=bound)
        if state.until:
            rows = rows.filter(created_at__gte=state.until)
        # Days without rows are passed over.
        nearest = rows.aggregate(at=Min("created_at"))["at"]
        low = nearest or state.until
        if low is None:
            return None, False
        high = max(low, min(bound, low + DAY) if nearest else bound)
        _add(low, high)
        state.until = high
        state.save()
        _sum_late_days(high)
    return high, high < bound


def _sum_next_week() -> bool:
    """Sum up the first week that is over and not summed up. Returns whether there was one."""
    with transaction.atomic(durable=True):
        locks.hold("billing.rollup")
        state = _state()
        week = state.weeks_until or weeks.first_week()
        if not (week and state.until and week + weeks.WEEK <= state.until.date()):
            return False
        weeks.sum_week(week)
        state.weeks_until = week + weeks.WEEK
        state.save()
    return True


def _sum_late_days(until: dt.datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM billing_late_day RETURNING day")
        days = sorted(day for (day,) in cursor.fetchall())
    complete_from, _ = partitions.horizon()
    archived = [day for day in days if complete_from and day < complete_from]
    for day in archived:
        log.error("usage.row_of_archived_day", day=day.isoformat())
    _sum_days(days[len(archived) :], until)


def _sum_days(days: list[dt.date], until: dt.datetime) -> None:
    """Replace the sums of the days, and of their weeks, by those of the rows from before
    `until`.
    """
    for day in days:
        start = midnight(day)
        UsageHour.objects.filter(start__gte=start, start__lt=start + DAY).delete()
        _add(start, min(start + DAY, until))
    summed_until = _state().weeks_until or dt.date.min
    for week in sorted({weeks.monday(day) for day in days if day < summed_until}):
        weeks.sum_week(week)


def _add(low: dt.datetime, high: dt.datetime) -> None:
    values: dict[str, Any] = {"low": low, "high": high}
    with connection.cursor() as cursor:
        for statement in _INSERTS:
            cursor.execute(statement, values)
