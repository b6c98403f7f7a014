"""The overview on a customer's or team's page: month, budgets, keys and last requests."""

import datetime as dt
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

from django.db import DatabaseError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from billing.accounting import spend
from billing.budget_scopes import BudgetScope
from billing.models import ApiKey, Budget, Counter, Customer, Refusal, Usage
from valuecanvas.core import money
from valuecanvas.core.admin import charts
from valuecanvas.core.admin.guard import GuardedAdmin
from valuecanvas.core.db.statement_timeout import limited_cursor

DAYS = 30
MOST_ROWS = 5
MOST_KEYS = 10
TIMEOUT_MS = 500


class Workspace:
    """What the page shows of one customer or team. Each part is read when it is used."""

    def __init__(self, scope: BudgetScope, row: Any) -> None:
        self.scope, self.row = scope, row
        self.is_customer = scope is BudgetScope.CUSTOMER
        self.today = timezone.now().date()

    @cached_property
    def days(self) -> list[tuple[dt.date, int, int]]:
        """Each of the last DAYS days (UTC) with its requests and micro-dollars."""
        first = self.today - dt.timedelta(days=DAYS - 1)
        rows = Counter.objects.filter(
            scope=self.scope.letter, scope_id=str(self.row.pk), day__gte=first
        )
        found = {day: sums for day, *sums in rows.values_list("day", "used", "spent")}
        every = [first + dt.timedelta(days=number) for number in range(DAYS)]
        return [(day, *found.get(day, (0, 0))) for day in every]

    @property
    def used(self) -> int:
        return sum(used for _, used, _ in self.days)

    @property
    def spent(self) -> int:
        return sum(spent for _, _, spent in self.days)

    @property
    def used_today(self) -> int:
        return self.days[-1][1]

    @property
    def spent_today(self) -> int:
        return self.days[-1][2]

    @property
    def quota_percent(self) -> int:
        limit: int = self.row.tier.daily_requests
        return min(100, 100 * self.used_today // max(1, limit))

    @property
    def quota_level(self) -> str:
        full = self.quota_percent
        return "over" if full >= 100 else "near" if full >= 80 else "fine"

    @property
    def chart(self) -> str:
        """The data for unfold's chart, by the day."""
        return charts.traffic(
            [f"{day:%b %d}" for day, _, _ in self.days],
            [float(money.to_usd(spent)) for _, _, spent in self.days],
            [used for _, used, _ in self.days],
        )

    @property
    def budgets(self) -> list[tuple[Budget, spend.BudgetProgress]]:
        """Its own budgets and those above it, with how far each is used up."""
        limits = Q(**{self.scope.field: self.row}) | Q(scope=BudgetScope.GLOBAL.kind)
        if self.is_customer and self.row.team_id:
            limits |= Q(team=self.row.team_id)
        rows = Budget.objects.filter(limits, enabled=True)
        found = list(rows.select_related("team", "customer", "api_key"))
        progress = spend.budget_progress(found)
        return [(budget, progress[budget.pk]) for budget in found]

    @property
    def keys(self) -> list[tuple[ApiKey, str]]:
        """Its newest keys, with the state of each."""
        owner = "customer" if self.is_customer else "customer__team"
        rows = ApiKey.objects.filter(**{owner: self.row}).select_related("customer")
        return [(key, key.state(timezone.now())) for key in rows[:MOST_KEYS]]

    @property
    def customers(self) -> list[Customer]:
        """The newest customers of a team."""
        return list(self.row.customers.select_related("tier")[:MOST_KEYS])

    @property
    def requests(self) -> list[Usage] | None:
        """The last ones; None if finding them takes too long."""
        # The index is of customer and day.
        order = ("-day", "-created_at") if self.is_customer else ("-created_at",)
        rows = self._recent(Usage.objects.exclude(status="correction"))
        return _read(lambda: list(rows.order_by(*order)[:MOST_ROWS]))

    @property
    def refusals(self) -> list[Refusal] | None:
        rows = self._recent(Refusal.objects.all())
        return _read(lambda: list(rows.order_by("-created_at")[:MOST_ROWS]))

    @property
    def chosen(self) -> str:
        """The filter of lists of requests that shows only those of this page."""
        return f"{self.scope.column}={self.row.pk}"

    def _recent(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(**{self.scope.column: self.row.pk})


class WorkspaceAdmin(GuardedAdmin):
    """The change form below the overview."""

    change_form_outer_before_template = "admin/billing/workspace.html"
    counted: ClassVar[BudgetScope]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = kwargs.get("obj")
        # A form that was not saved is shown alone, with what is to be decided on top.
        if row is not None and request.method != "POST":
            context["workspace"] = Workspace(self.counted, row)
            context["chart_options"] = charts.TRAFFIC_OPTIONS
        return super().render_change_form(request, context, *args, **kwargs)


def _read(query: Callable[[], list[Any]]) -> list[Any] | None:
    try:
        with limited_cursor(TIMEOUT_MS):
            return query()
    except DatabaseError:
        return None
