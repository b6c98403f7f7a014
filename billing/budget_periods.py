"""The periods of budgets: UTC days, weeks, calendar months, quarters and fixed dates."""

import datetime as dt
from enum import StrEnum


class Period(StrEnum):
    """How long a budget's money is for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    DATES = "dates"
    TOTAL = "total"


RECURRENT = (Period.DAY, Period.WEEK, Period.MONTH, Period.QUARTER)
LABELS = {
    Period.DAY: "UTC day",
    Period.WEEK: "UTC week, from Monday",
    Period.MONTH: "UTC calendar month",
    Period.QUARTER: "UTC calendar quarter",
    Period.DATES: "Fixed dates",
    Period.TOTAL: "For ever",
}


def first_day(period: str, day: dt.date) -> dt.date:
    """The first day of the recurrent period that has `day`."""
    if period == Period.WEEK:
        return day - dt.timedelta(days=day.weekday())
    if period == Period.MONTH:
        return day.replace(day=1)
    if period == Period.QUARTER:
        return day.replace(month=day.month - (day.month - 1) % 3, day=1)
    return day


def last_day(period: str, day: dt.date) -> dt.date | None:
    """The last day of the recurrent period that has `day`; None: it is no such period."""
    longest = {Period.DAY: 1, Period.WEEK: 7, Period.MONTH: 31, Period.QUARTER: 92}
    if period not in longest:
        return None
    beyond = first_day(period, day) + dt.timedelta(days=longest[Period(period)])
    return first_day(period, beyond) - dt.timedelta(days=1)


def first_day_before(period: str, day: dt.date) -> dt.date:
    """The first day of the recurrent period before the one that has `day`."""
    return first_day(period, first_day(period, day) - dt.timedelta(days=1))


def midnight(day: dt.date) -> dt.datetime:
    """The first moment of a UTC day."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)
