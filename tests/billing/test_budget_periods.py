"""The periods of budgets, held against the calendar of Python."""

import datetime as dt

import pytest

from billing.budget_periods import (
    RECURRENT,
    Period,
    first_day,
    first_day_before,
    last_day,
)

DAYS = [dt.date(2023, 12, 1) + dt.timedelta(days=one) for one in range(900)]


def group(period: str, day: dt.date) -> tuple[int, int]:
    """What all days of one period have in common."""
    if period == Period.WEEK:
        return day.isocalendar()[:2]
    if period == Period.MONTH:
        return day.year, day.month
    if period == Period.QUARTER:
        return day.year, (day.month + 2) // 3
    return day.year, day.timetuple().tm_yday


@pytest.mark.parametrize("period", RECURRENT)
def test_period__each_day__lies_between_its_first_and_last_day(period: str) -> None:
    one = dt.timedelta(days=1)
    for day in DAYS:
        first, last = first_day(period, day), last_day(period, day)
        assert last is not None
        assert first <= day <= last
        assert group(period, first) == group(period, day) == group(period, last)
        assert group(period, first - one) != group(period, day)
        assert group(period, last + one) != group(period, day)
        assert first_day_before(period, day) == first_day(period, first - one)


@pytest.mark.parametrize("period", [Period.DATES, Period.TOTAL])
def test_last_day__no_recurrent_period__is_none(period: str) -> None:
    assert last_day(period, DAYS[0]) is None
