"""Budgets in the admin, with the spent and held amounts."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from billing.accounting import spend
from billing.budget_periods import RECURRENT, Period
from billing.budget_scopes import BudgetScope
from billing.models import Budget
from valuecanvas.core.admin.bases import display, fieldset
from valuecanvas.core.admin.columns import column
from valuecanvas.core.admin.forms import ConsoleFields, NamesField
from valuecanvas.core.admin.guard import Effects, GuardedAdmin
from valuecanvas.core.templatetags import figures

TARGETS = {one.field: one.kind for one in BudgetScope if one.field}


class PercentsField(NamesField):
    """Whole percents, separated by commas."""

    def to_python(self, value: Any) -> Any:
        texts = super().to_python(
            [str(one) for one in value] if isinstance(value, list) else value
        )
        if unfit := [one for one in texts if not one.rstrip("% ").isdecimal()]:
            raise forms.ValidationError(f"{unfit[0]!r} is no whole number of percents.")
        return [int(one.rstrip("% ")) for one in texts]

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value


class BudgetForm(ConsoleFields, forms.ModelForm):
    """The form of a budget."""

    thresholds = PercentsField(
        required=False,
        help_text="Percents of the limit, separated by commas. Each is told once a "
        "period, see Alerts.",
    )

    def clean_increase_usd(self) -> Decimal:
        return self.cleaned_data["increase_usd"] or Decimal(0)

    class Meta:
        model = Budget
        fields = (
            "scope", "team", "customer", "api_key", "model", "tag", "period",
            "starts_on", "ends_on", "limit_usd", "hard", "thresholds", "increase_usd",
            "increase_until", "rollover", "enabled", "note",
        )  # fmt: skip


@admin.register(Budget)
class BudgetAdmin(GuardedAdmin):
    list_display = (
        "whom",
        "period",
        "used_up",
        "left",
        "forecast",
        "limit",
        "hard",
        "enabled",
    )
    list_select_related = ("team", "customer", "api_key")
    list_filter = (
        ("scope", ChoicesDropdownFilter),
        ("period", ChoicesDropdownFilter),
        "enabled",
    )
    search_fields = (
        "note",
        "model",
        "tag",
        "team__key",
        "customer__user_id__exact",
        "api_key__prefix__exact",
    )
    search_help_text = (
        "A note, team, model or tag, or the whole id of a customer or key."
    )
    form = BudgetForm
    autocomplete_fields = ("team", "customer", "api_key")
    conditional_fields = {
        **{field: f"scope == '{scope}'" for field, scope in TARGETS.items()},
        "starts_on": f"period == '{Period.DATES}'",
        "ends_on": f"period == '{Period.DATES}'",
        "rollover": " || ".join(f"period == '{one}'" for one in RECURRENT),
    }
    fieldsets = (
        fieldset("Scope", "scope", *TARGETS),
        fieldset(
            "The limit", "period", ("starts_on", "ends_on"), "limit_usd", "hard",
            "rollover", "enabled", "note",
        ),
        fieldset("Alerts", "thresholds"),
        fieldset("Temporary increase", "increase_usd", "increase_until"),
        fieldset("Current use", "used_up", "left", "span", "forecast"),
    )  # fmt: skip
    readonly_fields = ("used_up", "left", "span", "forecast")
    ordering = ("-id",)
    empty_text = (
        "A budget is a limit in US dollars: a request that might exceed a hard one is "
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
        return self.fieldsets if obj else self.fieldsets[:-1]

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

    @display(description="Forecast")
    def forecast(self, budget: Any) -> str:
        """What will be spent by the end of the period, if it goes on like this."""
        self._attach_one(budget)
        found = budget.progress.forecast(timezone.now())
        if found is None:
            return "–"
        passes = ", over the limit" if found > budget.progress.limit else ""
        return f"{figures.micros(found)}{passes}"

    @display(description="Period")
    def span(self, budget: Any) -> str:
        self._attach_one(budget)
        start, end = budget.progress.start, budget.progress.end
        return f"{start} to {end} (UTC)" if start and end else "for ever"

    def _attach_one(self, budget: Any) -> None:
        if not hasattr(budget, "progress"):
            self.attach([budget])


def _is_used_up(budget: Budget) -> bool:
    """Whether the budget refuses every request that costs something, as of now."""
    if not (budget.enabled and budget.hard):
        return False
    progress = spend.budget_progress([budget])[budget.pk]
    today = timezone.now().date()
    begun = progress.start is None or progress.start <= today
    ended = progress.end is not None and progress.end < today
    return begun and not ended and not progress.left
