"""Budgets in the admin, with the spent and held amounts."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from billing.accounting import spend
from billing.budget_scopes import BudgetScope
from billing.models import Budget
from valuecanvas.core.admin.bases import Admin, display, fieldset
from valuecanvas.core.admin.columns import column
from valuecanvas.core.templatetags import figures

TARGETS = {one.field: one.kind for one in BudgetScope if one.field}


@admin.register(Budget)
class BudgetAdmin(Admin):
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
