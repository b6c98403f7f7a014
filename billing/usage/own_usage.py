"""What a key holder may know of its own use: quota, money, budgets and tier."""

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from billing.accounting import spend
from billing.accounting.spend import BudgetProgress
from billing.auth.principal import Principal
from billing.budget_periods import midnight
from billing.budget_scopes import BY_KIND, BudgetScope
from billing.models import Budget, Counter, Customer, Tier

DAYS = 30


@dataclass(frozen=True, slots=True)
class UsedDay:
    """A UTC day's requests that count against the quota, and micro-dollars."""

    day: dt.date
    requests: int = 0
    spent: int = 0


class OwnBudget(NamedTuple):
    """A budget of the caller; `whose` is as in 'your team'."""

    whose: str
    budget: Budget
    progress: BudgetProgress


@dataclass(frozen=True, slots=True)
class OwnUsage:
    """The use of the customer of a key. Money is in micro-dollars."""

    customer: Customer
    # The last DAYS days, the oldest first.
    days: tuple[UsedDay, ...]
    # What limits this key: budgets of its customer, of its team and its own.
    budgets: tuple[OwnBudget, ...]
    resets_at: dt.datetime

    @property
    def tier(self) -> Tier:
        return self.customer.tier

    @property
    def next_tier(self) -> Tier | None:
        return self.tier.upgrade_to

    @property
    def upgrade_url(self) -> str:
        return str(settings.UPGRADE_URL) if self.next_tier else ""

    @property
    def today(self) -> UsedDay:
        return self.days[-1]

    @property
    def month(self) -> UsedDay:
        """The sum of this calendar month so far; its day is the first."""
        first = self.today.day.replace(day=1)
        inside = [one for one in self.days if one.day >= first]
        return UsedDay(
            first, sum(one.requests for one in inside), sum(one.spent for one in inside)
        )

    @property
    def left_today(self) -> int:
        return max(0, self.tier.daily_requests - self.today.requests)

    @property
    def used_percent(self) -> int:
        return min(100, 100 * self.today.requests // max(1, self.tier.daily_requests))


def read_own_usage(who: Principal) -> OwnUsage:
    """What the caller `who` may know of its use."""
    rows = Customer.objects.select_related("tier__upgrade_to", "team")
    now = timezone.now()
    return OwnUsage(
        customer=rows.get(pk=who.customer_id),
        days=_days(who, now.date()),
        budgets=_budgets(who),
        resets_at=midnight(now.date() + dt.timedelta(days=1)),
    )


def _days(who: Principal, today: dt.date) -> tuple[UsedDay, ...]:
    # Of this month all days, which may be 31.
    first = min(today - dt.timedelta(days=DAYS - 1), today.replace(day=1))
    rows = Counter.objects.filter(
        scope=BudgetScope.CUSTOMER.letter, scope_id=str(who.customer_id), day__gte=first
    )
    found = {row.day: UsedDay(row.day, row.used, row.spent) for row in rows}
    every = (first + dt.timedelta(days=one) for one in range((today - first).days + 1))
    return tuple(found.get(day, UsedDay(day)) for day in every)


def _budgets(who: Principal) -> tuple[OwnBudget, ...]:
    mine = Q(customer=who.customer_id) | Q(api_key=who.key)
    if who.team:
        mine |= Q(team=who.team)
    rows = list(
        Budget.objects.filter(mine, enabled=True)
        .select_related("team", "customer", "api_key")
        .order_by("pk")
    )
    found = spend.budget_progress(rows)
    return tuple(
        OwnBudget(BY_KIND[one.scope].whose, one, found[one.pk]) for one in rows
    )
