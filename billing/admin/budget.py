"""Budgets in the admin, with the spent and held amounts."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from billing.accounting import spend
from billing.budget_scopes import BudgetScope
from billing.models import Budget
from valuecanvas.core.admin.bases import display, fieldset
from valuecanvas.core.admin.columns import column
from valuecanvas.core.admin.guard import Effects, GuardedAdmin
from valuecanvas.core.templatetags import figures

TARGETS = {one.field: one.kind for one in BudgetScope if one.field}


@admin.register(Budget)
class BudgetAdmin(GuardedAdmin):
    list_display = (
        "whom",
        "period",
        "used_up",
        "left",
        "limit",
        "enabled",
        "note",
    )
    list_select_related = ("team", "customer", "api_key")
    list_filter = (
        ("scope", ChoicesDropdownFilter),
        ("period", ChoicesDropdownFilter),
        "enabled",
    )
    search_fields = (
        "note",
        "team__key",
        "customer__user_id__exact",
        "api_key__prefix__exact",
    )
    search_help_text = "A note, a team, or the whole id of a customer or key."
    autocomplete_fields = tuple(TARGETS)
    conditional_fields = {
        field: f"scope == '{scope}'" for field, scope in TARGETS.items()
    }
    fieldsets = (
        fieldset("Scope", "scope", *TARGETS),
        fieldset("The limit", "period", "limit_usd", "enabled", "note"),
        fieldset("Current use", "used_up", "left"),
    )
    readonly_fields = ("used_up", "left")
    ordering = ("-id",)
    empty_text = (
        "A budget is a hard limit in US dollars: a request that might exceed it is "
        "refused before it is sent. Start with one for everyone."
    )

    def effects(self, request: HttpRequest, before: Any, after: Any) -> Effects:
        if not _is_used_up(after) or (before is not None and _is_used_up(before)):
            return {}
        progress = spend.budget_progress([after])[after.pk]
        return {
            "budget": f"Spent and held in this period so far: "
            f"{figures.micros(progress.usage.spent + progress.usage.reserved)} of "
            f"{figures.micros(progress.limit)}. All requests that this budget limits "
            f"({after.target}) are refused at once."
        }

    def attach(self, rows: list[Any]) -> None:
        found = spend.budget_progress(rows)
        for budget in rows:
            budget.progress = found[budget.pk]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj else self.fieldsets[:2]

    @display(description="Limits", header=True)
    def whom(self, budget: Budget) -> list[str]:
        return [budget.target, budget.get_scope_display()]

    limit = column("Limit", "limit_usd", figures.usd, ordering="limit_usd")

    @display(description="Spent and held")
    def used_up(self, budget: Any) -> str:
        self._attach_one(budget)
        return render_to_string(
            "admin/billing/budget/progress.html", {"progress": budget.progress}
        )

    @display(description="Left")
    def left(self, budget: Any) -> str:
        self._attach_one(budget)
        return figures.micros(budget.progress.left)

    def _attach_one(self, budget: Any) -> None:
        if not hasattr(budget, "progress"):
            self.attach([budget])


def _is_used_up(budget: Budget) -> bool:
    """Whether the budget refuses every request that costs something."""
    return budget.enabled and not spend.budget_progress([budget])[budget.pk].left
