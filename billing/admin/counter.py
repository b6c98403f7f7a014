"""Counters in the admin: requests, spend and held money by scope and day."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.urls import URLPattern
from django.views.decorators.http import require_safe
from unfold.contrib.filters.admin import RangeDateFilter

from billing.admin.customer_name import names_of
from billing.admin.spend import spend_view
from billing.budget_scopes import BY_LETTER, BudgetScope
from billing.models import Counter
from valuecanvas.core.admin.bases import (
    ExactSearchAdmin,
    LargeTableAdmin,
    ReadOnlyAdmin,
    display,
)
from valuecanvas.core.admin.columns import column, link
from valuecanvas.core.admin.filters import NamesFilter
from valuecanvas.core.templatetags import figures

CUSTOMER = BudgetScope.CUSTOMER.letter


class ScopeFilter(NamesFilter):
    title = "scope"
    parameter_name = "scope"

    def names(self) -> list[tuple[str, str]]:
        return [(one.letter, one.label) for one in BudgetScope]


@admin.register(Counter)
class CounterAdmin(ReadOnlyAdmin, LargeTableAdmin, ExactSearchAdmin):
    list_display = ("day", "scope_text", "name", "requests", "spent_usd", "held_usd")
    list_filter = (ScopeFilter, ("day", RangeDateFilter))
    search_help_text = "The whole id of a customer, a team, or the prefix of a key."
    ordering = ("-day", "-key")
    fields = ("day", "scope_text", "name", "requests", "spent_usd", "held_usd")
    empty_text = (
        "A counter is created by a day's first request. Quota and budgets read it."
    )

    def get_urls(self) -> list[URLPattern]:
        view = require_safe(partial(spend_view, self))
        return [self.route("spend/", view, "billing_spend"), *super().get_urls()]

    def condition(self, term: str) -> Q:
        return Q(scope__in=list(BY_LETTER), scope_id=term)

    def attach(self, rows: list[Any]) -> None:
        named = names_of([one.scope_id for one in rows if one.scope == CUSTOMER])
        for counter in rows:
            counter.called = named.get(counter.scope_id, "")

    @display(description="Scope")
    def scope_text(self, counter: Counter) -> str:
        return BY_LETTER[counter.scope].label

    @display(description="Name")
    def name(self, counter: Any) -> str:
        """A link to the owner; the page of one counter looks the name up itself."""
        known = getattr(counter, "called", None)
        if known is None and counter.scope == CUSTOMER:
            known = names_of([counter.scope_id]).get(counter.scope_id)
        scope = BY_LETTER[counter.scope]
        if not scope.field:
            return scope.whose
        page = scope.field.replace("_", "")
        return link(f"billing_{page}", counter.scope_id, known or counter.scope_id)

    requests = column("Requests", "used", figures.commas)
    spent_usd = column("Spent", "spent", figures.micros)
    held_usd = column("Held", "reserved", figures.micros)
