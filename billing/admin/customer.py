"""Customers in the admin. Registered by llm/admin, which knows all that one sent."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    RelatedDropdownFilter,
)

from billing.accounting import spend
from billing.admin.customer_pages import SUSPENDED, ReleasePage, SuspendPage
from billing.admin.minute_limits import minute_limits
from billing.admin.workspace import WorkspaceAdmin
from billing.budget_scopes import BudgetScope
from billing.models import Customer, Tier
from valuecanvas.core.admin.bases import (
    ExactSearchAdmin,
    LargeTableAdmin,
    display,
    fieldset,
)
from valuecanvas.core.admin.columns import column
from valuecanvas.core.admin.filters import TimeFilter
from valuecanvas.core.admin.guard import Effects
from valuecanvas.core.admin.pages import Page
from valuecanvas.core.templatetags import figures


def tier_effects(customer: Customer, before: Tier) -> Effects:
    """What moving a customer from the tier `before` to its new one does at once."""
    tier = customer.tier
    found = {
        "tier": f"{customer} moves from {before} ({_a_day(before)}) to {tier} "
        f"({_a_day(tier)}), from the next request on."
    }
    used = spend.load_used_today([customer.pk])[customer.pk]
    if tier.daily_requests <= used < before.daily_requests:
        found["quota"] = (
            f"It made {figures.commas(used)} requests today: further ones are refused "
            "until midnight UTC."
        )
    return found


def _a_day(tier: Tier) -> str:
    return f"{figures.commas(tier.daily_requests)} requests a day"


class CustomerAdmin(WorkspaceAdmin, LargeTableAdmin, ExactSearchAdmin):
    list_display = (
        "user_id",
        "team",
        "tier",
        "requests_today",
        "spent_today",
        "state",
        "created_at",
    )
    list_select_related = ("team", "tier")
    list_filter = (
        ("tier", RelatedDropdownFilter),
        ("team", AutocompleteSelectFilter),
        "suspended",
        ("created_at", TimeFilter),
    )
    # Searched by `matching` below: an exact id, or its beginning.
    search_fields = ("user_id",)
    search_help_text = "The whole user id, or its beginning."
    ordering = ("-id",)  # ordered by time, and indexed
    autocomplete_fields = ("team", "tier")
    fieldsets = (
        fieldset(None, "user_id", "team", "tier", "suspended"),
        minute_limits("Empty: the tier's limit."),
        fieldset("History", "created_at"),
    )
    # The ledger and the counters use this id.
    fixed_fields = ("user_id", "team")
    readonly_fields = ("created_at",)
    counted = BudgetScope.CUSTOMER
    pages: tuple[type[Page], ...] = (SuspendPage, ReleasePage)
    actions = ("suspend", "resume")
    instead = "Suspend the customer instead: its requests are refused at once."
    empty_text = (
        "A customer is created by its first request, in the default tier. Add one here "
        "to choose its tier or to issue a key beforehand."
    )

    def effects(self, request: HttpRequest, before: Any, after: Any) -> Effects:
        found: Effects = {}
        if before is None:
            return found
        if after.suspended and not before.suspended:
            found["suspend"] = SUSPENDED
        if after.tier_id != before.tier_id:
            found |= tier_effects(after, before.tier)
        return found

    def attach(self, rows: list[Any]) -> None:
        ids = [str(customer.pk) for customer in rows]
        found = spend.progress_today(BudgetScope.CUSTOMER, ids)
        for customer in rows:
            customer.standing = found.get(str(customer.pk), spend.QuotaProgress())

    def condition(self, term: str) -> Q:
        return Q(user_id=term) | Q(user_id__startswith=term)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj else self.fieldsets[:2]

    @display(description="Requests today")
    def requests_today(self, customer: Any) -> str:
        limit = figures.commas(customer.tier.daily_requests)
        return f"{figures.commas(customer.standing.used)} of {limit}"

    spent_today = column("Spent today", "standing.spent", figures.micros)

    @display(description="State", label={"active": "success", "suspended": "danger"})
    def state(self, customer: Customer) -> str:
        return "suspended" if customer.suspended else "active"

    @admin.action(description="Suspend: refuse their requests", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        if "confirmed" not in request.POST:
            chosen = list(queryset.exclude(suspended=True))
            return self.ask_for(
                request,
                "suspend",
                chosen,
                title="Suspend customers",
                text=SUSPENDED,
                rows=chosen,
                verb="Suspend them",
                danger=True,
            )
        self._switch(request, queryset, suspended=True)
        return None

    @admin.action(description="Release: accept their requests", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._switch(request, queryset, suspended=False)

    def _switch(
        self, request: HttpRequest, queryset: QuerySet, *, suspended: bool
    ) -> None:
        # By id: the list's queryset defers, orders and slices.
        chosen = list(queryset.exclude(suspended=suspended))
        Customer.objects.filter(pk__in=[one.pk for one in chosen]).update(
            suspended=suspended
        )
        verb = "Suspended" if suspended else "Released"
        self.record(request, chosen, f"{verb}.")
        messages.success(request, f"{verb} {len(chosen)} of the selected customers.")
