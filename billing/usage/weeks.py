"""The sums of whole weeks, from Monday to Sunday (UTC): a long span is read from fewer rows.

They are made of the sums of their days once a week is over, and again whenever one of
those days is, in the same transaction.
"""

import datetime as dt
from dataclasses import dataclass

from django.db import connection
from django.db.models import Min

from billing.budget_periods import midnight
from billing.models import RollupState, UsageHour
from billing.usage.levels import DIMENSIONS, WEEKS, Level
from billing.usage.sums import SUMMED, insert_into

WEEK = dt.timedelta(days=7)


def _insert(day_level: int, week: Level) -> str:
    """The statement that writes the sums of the week from `start` on."""
    groups = ", ".join(DIMENSIONS)
    sums = ", ".join(f"sum({name}) AS {name}" for name in SUMMED)
    return f"""{insert_into(week)} (
    SELECT %(start)s::timestamptz AS start, {groups}, {sums},
           usage_latency_sum(latency) AS latency
    FROM billing_usage_hour WHERE level = {day_level}
    AND start >= %(start)s AND start < %(end)s GROUP BY {groups}
) AS found
"""  # noqa: S608 - names of this package


_INSERTS = [_insert(number, week) for number, week in WEEKS.items()]


@dataclass(frozen=True, slots=True)
class LevelSpan:
    """The sums of a level from `start` until before `end`, UTC days."""

    level: int
    start: dt.date
    end: dt.date


def monday(day: dt.date) -> dt.date:
    """The first day of the week of `day`."""
    return day - dt.timedelta(days=day.weekday())


def first_week() -> dt.date | None:
    """The Monday of the first day that was summed up; None: none was."""
    oldest = UsageHour.objects.aggregate(at=Min("start"))["at"]
    return monday(oldest.date()) if oldest else None


def sum_week(week: dt.date) -> None:
    """Replace the sums of the week of the Monday `week` by those of its days."""
    values = {"start": midnight(week), "end": midnight(week + WEEK)}
    numbers = [one.number for one in WEEKS.values()]
    UsageHour.objects.filter(level__in=numbers, start=values["start"]).delete()
    with connection.cursor() as cursor:
        for statement in _INSERTS:
            cursor.execute(statement, values)


def cover_days(level: int, start: dt.date, end: dt.date) -> list[LevelSpan]:
    """What to read for the days of a level from `start` until before `end`.

    Whole weeks from the sums of weeks, as far as there are such; the rest from the days.
    """
    days = [LevelSpan(level, start, end)]
    first, last = monday(start + WEEK - dt.timedelta(days=1)), monday(end)
    if level not in WEEKS or first >= last:
        return days
    until = RollupState.objects.values_list("weeks_until", flat=True).first()
    last = min(last, until or first)
    if first >= last:
        return days
    found = (
        LevelSpan(level, start, first),
        LevelSpan(WEEKS[level].number, first, last),
        LevelSpan(level, last, end),
    )
    return [one for one in found if one.start < one.end]
