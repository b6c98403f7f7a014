"""Usage, spend and reserved money, read in bulk from the counters."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from billing.budget_scopes import BY_KIND, CUSTOMER, BudgetScope
from billing.models import Budget, Counter
from valuecanvas.core import money

# Day counters are summed, each scope by its own probe of the index.
SUMS = """
SELECT w.scope, w.scope_id, w.period, c.used, c.spent, c.reserved
FROM unnest(%s::text[], %s::text[], %s::text[]) AS w (scope, scope_id, period),
     LATERAL (SELECT (now() AT TIME ZONE 'utc')::date AS today) AS clock,
     LATERAL (
         SELECT sum(used) AS used, sum(spent) AS spent, sum(reserved) AS reserved
         FROM billing_counter
         WHERE scope = w.scope AND scope_id = w.scope_id AND day >= CASE w.period
             WHEN 'day' THEN today
             WHEN 'month' THEN date_trunc('month', today)::date
             ELSE '-infinity'::date END
     ) AS c
WHERE c.used IS NOT NULL
"""
Name = tuple[str, str, str]


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
    limit: int

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
    def level(self) -> str:
        """'over', 'near' or 'fine'."""
        full = self.fullness
        return "over" if full >= 100 else "near" if full >= 80 else "fine"

    def _percent(self, micros: int) -> float:
        if self.limit <= 0:
            return 100.0
        return min(100.0, round(100 * micros / self.limit, 1))


def load_progress(names: Iterable[Name]) -> dict[Name, QuotaProgress]:
    """The progress of each (scope letter, scope id, period); absent if nothing counted."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    scopes, ids, periods = (list(column) for column in zip(*wanted, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(SUMS, [scopes, ids, periods])
        return {
            (scope, scope_id, period): QuotaProgress(
                int(used), int(spent), int(reserved)
            )
            for scope, scope_id, period, used, spent, reserved in cursor.fetchall()
        }


def progress_today(scope: BudgetScope, ids: Iterable[str]) -> dict[str, QuotaProgress]:
    """Today's progress (UTC) of each id of one scope, by id."""
    found = load_progress((scope.letter, one, "day") for one in ids)
    return {scope_id: progress for (_, scope_id, _), progress in found.items()}


def load_used_today(customers: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The quota units that each customer used today (UTC), without the ledger's queue."""
    day = timezone.now().date()
    keys = {f"{CUSTOMER}{one}:{day}": one for one in customers}
    rows = Counter.objects.filter(pk__in=keys).values_list("pk", "used")
    found = {keys[key]: used for key, used in rows}
    return {one: found.get(one, 0) for one in customers}


def budget_progress(budgets: Iterable[Budget]) -> dict[int, BudgetProgress]:
    """How far each budget is used up, by the budget's id, in one query."""
    rows = list(budgets)
    found = load_progress(_name(budget) for budget in rows)
    return {
        budget.pk: BudgetProgress(
            usage=found.get(_name(budget), QuotaProgress()),
            limit=money.to_micros(budget.limit_usd),
        )
        for budget in rows
    }


def _name(budget: Budget) -> Name:
    return BY_KIND[budget.scope].letter, budget.scope_id, budget.period
