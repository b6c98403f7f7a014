"""Which budgets have passed which of their thresholds."""

import calendar
import datetime as dt
from collections.abc import Iterator

from django.urls import reverse
from django.utils import timezone

from billing.accounting import spend
from billing.accounting.spend import BudgetProgress
from billing.alerts.types import Condition
from billing.models import AlertEvent, AlertRule, Budget
from valuecanvas.core import money
from valuecanvas.core.templatetags import figures

THRESHOLDS = (50, 80, 100)


def find_passed(rule: AlertRule) -> Iterator[Condition]:
    """Each threshold that spent money has reached in the running period.

    It holds until the period ends, even if the limit is raised meanwhile.
    """
    budgets = list(
        Budget.objects.filter(enabled=True).select_related(
            "team", "customer", "api_key"
        )
    )
    found = spend.budget_progress(budgets)
    known = set(
        AlertEvent.objects.filter(rule=rule, state="firing").values_list(
            "dedup_key", flat=True
        )
    )
    today = timezone.now().date()
    for budget in budgets:
        progress = found[budget.pk]
        start, end = _period(budget.period, today)
        for percent in THRESHOLDS:
            key = f"budget:{budget.pk}:{start}:{percent}"
            if key in known or _has_reached(progress, percent):
                yield _condition(budget, progress, percent, key, _describe(start, end))


def _has_reached(progress: BudgetProgress, percent: int) -> bool:
    spent = progress.usage.spent
    return spent > 0 and 100 * spent >= percent * progress.limit


def _condition(
    budget: Budget, progress: BudgetProgress, percent: int, key: str, period: str
) -> Condition:
    spent, limit = progress.usage.spent, progress.limit
    return Condition(
        key,
        f"Budget of {_whose(budget)} has reached {percent}% "
        f"({figures.micros(spent)} of {figures.micros(limit)}, {period}).",
        {
            "budget": budget.pk,
            "percent": percent,
            "spentUsd": money.text(spent),
            "limitUsd": money.text(limit),
        },
        reverse("admin:billing_budget_change", args=[budget.pk]),
        once=True,
    )


def _whose(budget: Budget) -> str:
    if budget.scope == "global":
        return "everyone"
    return f"{budget.scope} '{budget.target}'"


def _period(name: str, today: dt.date) -> tuple[dt.date | None, dt.date | None]:
    """The first and the last UTC day of the running period."""
    if name == "day":
        return today, today
    if name == "month":
        last = calendar.monthrange(today.year, today.month)[1]
        return today.replace(day=1), today.replace(day=last)
    return None, None


def _describe(start: dt.date | None, end: dt.date | None) -> str:
    if start is None:
        return "in all"
    return f"UTC day {start}" if start == end else f"{start} to {end}"
