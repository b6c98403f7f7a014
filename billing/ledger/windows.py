"""The window of days that a budget looks at, and its money in it."""

import datetime as dt
from dataclasses import replace
from typing import NamedTuple

from billing.budget_periods import RECURRENT, Period, first_day, first_day_before
from billing.ledger.types import Books, Limit, LimitStanding

EVER = dt.date(1, 1, 1)


class Sums(NamedTuple):
    """Micro-dollars of a budget's window: its limit, and what is spent and reserved."""

    micros: int
    spent: int
    reserved: int

    @property
    def left(self) -> int:
        return self.micros - self.spent - self.reserved


def start(limit: Limit, today: dt.date) -> dt.date | None:
    """The first day that counts; None: its dates are over, or yet to come.

    Where the money of the period before is added, it looks at both periods at once: two
    limits less what both spent is a limit and what the first one has left.
    """
    if limit.period == Period.TOTAL:
        return EVER
    if limit.period not in RECURRENT:
        first, last = limit.starts or EVER, limit.ends or today
        return first if first <= today <= last else None
    first = first_day(limit.period, today)
    if limit.rollover_since is not None and limit.rollover_since < first:
        return first_day_before(limit.period, today)
    return first


def sums(limit: Limit, books: Books) -> Sums | None:
    """Where `limit` stands; None: it is not in force. What was spent and reserved on
    earlier days counts as spent.
    """
    today, micros = books.today, limit.micros
    first = start(limit, today)
    if first is None:
        return None
    if limit.rollover_since is not None and first < first_day(limit.period, today):
        micros *= 2
    if limit.increase_until is not None and books.at < limit.increase_until:
        micros += limit.increase
    row = books.row(limit.scope, today)
    earlier = books.history.get((limit.scope, first), 0)
    return Sums(micros, row.spent + earlier, row.reserved)


def limit_standing(limit: Limit, found: Sums) -> LimitStanding:
    """For people and programs: `limit` with the money of its window."""
    at_present = replace(limit, micros=found.micros)
    return LimitStanding(at_present, found.spent, found.reserved)
