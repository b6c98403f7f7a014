"""Usage, spend and reserved money, read in bulk from the counters."""

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from billing.budget_periods import RECURRENT, Period, first_day, last_day, midnight
from billing.budget_scopes import BY_KIND, CUSTOMER, BudgetScope
from billing.config import limit_of
from billing.ledger.windows import EVER, start
from billing.models import Budget, Counter

# Day counters are summed, each scope by its own probe of the index.
SUMS = """
SELECT w.scope, w.scope_id, w.first, c.used, c.spent, c.reserved
FROM unnest(%s::text[], %s::text[], %s::date[]) AS w (scope, scope_id, first),
     LATERAL (
         SELECT sum(used) AS used, sum(spent) AS spent, sum(reserved) AS reserved
         FROM billing_counter
         WHERE scope = w.scope AND scope_id = w.scope_id AND day >= w.first
     ) AS c
WHERE c.used IS NOT NULL
"""
Name = tuple[str, str, dt.date]


@dataclass(frozen=True, slots=True)
class QuotaProgress:
    """Requests used, and micro-dollars spent and reserved, in one period."""

    used: int = 0
    spent: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class BudgetProgress:
    """How far a budget is used up."""

    usage: QuotaProgress
    # With an increase, and what the period before has left.
    limit: int
    # The first and the last day (UTC) of the period; None: it has none.
    start: dt.date | None = None
    end: dt.date | None = None

    @property
    def spent_percent(self) -> float:
        return self._percent(self.usage.spent)

    @property
    def reserved_percent(self) -> float:
        """Money reserved for requests under way, as far as the bar has space for it."""
        return min(self._percent(self.usage.reserved), 100 - self.spent_percent)

    @property
    def left(self) -> int:
        """Micro-dollars that a new request can still reserve."""
        return max(0, self.limit - self.usage.spent - self.usage.reserved)

    @property
    def fullness(self) -> float:
        """Spent and reserved as a percentage of the limit, at most 100."""
        return self._percent(self.usage.spent + self.usage.reserved)

    @property
    def percent(self) -> float:
        """Spent as a percentage of the limit, which may be more than 100."""
        if self.limit <= 0:
            return 100.0
        return round(100 * self.usage.spent / self.limit, 1)

    def forecast(self, now: dt.datetime) -> int | None:
        """Micro-dollars that will be spent by the period's end, if it goes on like this;
        None: the period has no end, or has hardly begun.
        """
        if self.start is None or self.end is None:
            return None
        begin = midnight(self.start)
        whole = dt.timedelta(days=(self.end - self.start).days + 1)
        gone = min(now - begin, whole)
        if gone < max(dt.timedelta(hours=1), whole / 100):
            return None
        return round(self.usage.spent * (whole / gone))

    @property
    def level(self) -> str:
        """'over', 'near' or 'fine'."""
        full = self.fullness
        return "over" if full >= 100 else "near" if full >= 80 else "fine"

    def _percent(self, micros: int) -> float:
        if self.limit <= 0:
            return 100.0
        return min(100.0, round(100 * micros / self.limit, 1))


def load_progress(names: Iterable[Name]) -> dict[Name, QuotaProgress]:
    """The progress of each (scope letter, scope id, first day); absent if nothing counted."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    scopes, ids, firsts = (list(column) for column in zip(*wanted, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(SUMS, [scopes, ids, firsts])
        return {
            (scope, scope_id, first): QuotaProgress(
                int(used), int(spent), int(reserved)
            )
            for scope, scope_id, first, used, spent, reserved in cursor.fetchall()
        }


def progress_today(scope: BudgetScope, ids: Iterable[str]) -> dict[str, QuotaProgress]:
    """Today's progress (UTC) of each id of one scope, by id."""
    today = timezone.now().date()
    found = load_progress((scope.letter, one, today) for one in ids)
    return {scope_id: progress for (_, scope_id, _), progress in found.items()}


def progress_this_month() -> BudgetProgress:
    """What everyone spent in this calendar month (UTC), as of a budget without a limit."""
    today = timezone.now().date()
    first = first_day(Period.MONTH, today)
    name = (BudgetScope.GLOBAL.letter, "", first)
    found = load_progress([name]).get(name, QuotaProgress())
    return BudgetProgress(found, 0, first, last_day(Period.MONTH, today))


def load_used_today(customers: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The quota units that each customer used today (UTC), without the ledger's queue."""
    day = timezone.now().date()
    keys = {f"{CUSTOMER}{one}:{day}": one for one in customers}
    rows = Counter.objects.filter(pk__in=keys).values_list("pk", "used")
    found = {keys[key]: used for key, used in rows}
    return {one: found.get(one, 0) for one in customers}


def budget_progress(budgets: Iterable[Budget]) -> dict[int, BudgetProgress]:
    """How far each budget is used up, by the budget's id, in one query.

    Of fixed dates that are over or yet to come, what was spent since the first day.
    """
    now, rows = timezone.now(), list(budgets)
    firsts = {row.pk: _firsts(row, now) for row in rows}
    found = load_progress(
        (*_scope(row), first) for row in rows for first in firsts[row.pk]
    )
    return {
        row.pk: _progress(
            row,
            now,
            [found.get((*_scope(row), one), QuotaProgress()) for one in firsts[row.pk]],
        )
        for row in rows
    }


def _progress(
    row: Budget, now: dt.datetime, sums: Sequence[QuotaProgress]
) -> BudgetProgress:
    limit, usage = limit_of(row), sums[0]
    micros = limit.micros
    if limit.increase_until is not None and now < limit.increase_until:
        micros += limit.increase
    if len(sums) > 1:
        # What the period before has left.
        before = sums[1].spent + sums[1].reserved - usage.spent - usage.reserved
        micros += limit.micros - before
    today = now.date()
    first = limit.starts or first_day(row.period, today)
    start = None if row.period == Period.TOTAL else first
    return BudgetProgress(
        usage, micros, start, limit.ends or last_day(row.period, today)
    )


def _firsts(row: Budget, now: dt.datetime) -> list[dt.date]:
    """The first days of the sums that a budget needs: that of its period, and that of the
    window which the ledger looks at.
    """
    limit, today = limit_of(row), now.date()
    window = start(limit, today) or limit.starts or EVER
    own = window
    if row.period in RECURRENT:
        own = first_day(row.period, today)
    return [own] if own == window else [own, window]


def _scope(budget: Budget) -> tuple[str, str]:
    return BY_KIND[budget.scope].letter, budget.scope_id
