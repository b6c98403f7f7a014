"""Which budgets have passed which of their thresholds."""

from collections.abc import Iterator

from django.urls import reverse
from django.utils import timezone

from billing.accounting import spend
from billing.accounting.spend import BudgetProgress
from billing.alerts.types import Condition
from billing.models import AlertEvent, AlertRule, AlertState, Budget
from valuecanvas.core import money
from valuecanvas.core.templatetags import figures


def find_passed(rule: AlertRule) -> Iterator[Condition]:
    """Each threshold that spent money has reached in the running period.

    It holds until the period ends, even if the limit is raised meanwhile.
    """
    rows = Budget.objects.filter(enabled=True)
    budgets = list(rows.select_related("team", "customer", "api_key"))
    found = spend.budget_progress(budgets)
    live = AlertEvent.objects.filter(rule=rule, state=AlertState.FIRING)
    known = set(live.values_list("dedup_key", flat=True))
    for budget in budgets:
        progress = found[budget.pk]
        if not _is_running(progress):
            continue
        for percent in budget.thresholds:
            key = f"budget:{budget.pk}:{progress.start}:{percent}"
            if key in known or _has_reached(progress, percent):
                yield _condition(budget, progress, percent, key)


def _is_running(progress: BudgetProgress) -> bool:
    """Whether today is in the period: fixed dates may be over, or yet to come."""
    today = timezone.now().date()
    return (progress.start or today) <= today <= (progress.end or today)


def _has_reached(progress: BudgetProgress, percent: int) -> bool:
    spent = progress.usage.spent
    return spent > 0 and 100 * spent >= percent * progress.limit


def _condition(
    budget: Budget, progress: BudgetProgress, percent: int, key: str
) -> Condition:
    spent, limit = progress.usage.spent, progress.limit
    return Condition(
        key,
        f"Budget of {_whose(budget)} has reached {percent}% "
        f"({figures.micros(spent)} of {figures.micros(limit)}, {_period(progress)}).",
        {
            "budget": budget.pk,
            "percent": percent,
            "spentUsd": money.text(spent),
            "limitUsd": money.text(limit),
            "hard": budget.hard,
        },
        reverse("admin:billing_budget_change", args=[budget.pk]),
        once=True,
    )


def _whose(budget: Budget) -> str:
    if budget.scope == "global":
        return "everyone"
    scope = "API key" if budget.scope == "key" else budget.scope
    return f"{scope} '{budget.target}'"


def _period(progress: BudgetProgress) -> str:
    if progress.start is None:
        return "in all"
    if progress.end == progress.start:
        return f"UTC day {progress.start}"
    return f"{progress.start} to {progress.end}"
