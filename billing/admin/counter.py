"""Counters in the admin: what each scope used, spent and holds in a day."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import RangeDateFilter

from billing.admin.customer_name import names_of
from billing.models import Counter
from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.filters import NamesFilter
from valuecanvas.core.templatetags import figures

PAGES = {"t": "team", "c": "customer", "k": "apikey"}
SCOPES = {"g": "everyone", "t": "team", "c": "customer", "k": "key"}


class ScopeFilter(NamesFilter):
    title = "whose"
    parameter_name = "scope"

    def names(self) -> list[tuple[str, str]]:
        return [(letter, name.capitalize()) for letter, name in SCOPES.items()]


@admin.register(Counter)
class CounterAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("day", "whose", "name", "requests", "spent_usd", "held_usd")
    list_filter = (ScopeFilter, ("day", RangeDateFilter))
    search_fields = ("scope_id",)  # see get_search_results
    search_help_text = "The whole id of a customer, a team, or the prefix of a key."
    ordering = ("-day", "-key")
    fields = ("day", "whose", "name", "requests", "spent_usd", "held_usd")
    readonly_fields = ("whose", "name", "requests", "spent_usd", "held_usd")
    empty_text = (
        "A counter comes with a day's first request. Quota and budgets read it."
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if term:
            queryset = queryset.filter(scope__in=("t", "c", "k"), scope_id=term)
        return queryset, False

    def attach(self, rows: list[Any]) -> None:
        named = names_of([one.scope_id for one in rows if one.scope == "c"])
        for counter in rows:
            counter.called = named.get(counter.scope_id, "")

    @display(description="Whose")
    def whose(self, counter: Counter) -> str:
        return SCOPES.get(counter.scope, counter.scope)

    @display(description="Name")
    def name(self, counter: Any) -> str:
        """A link to whose it is; a page of one counter looks the name up itself."""
        known = getattr(counter, "called", None)
        if known is None and counter.scope == "c":
            known = names_of([counter.scope_id]).get(counter.scope_id)
        page = PAGES.get(counter.scope)
        if page is None:
            return "everyone"
        url = reverse(f"admin:billing_{page}_change", args=[quote(counter.scope_id)])
        text = known or counter.scope_id
        return format_html('<a class="vc-link" href="{}">{}</a>', url, text)

    @display(description="Requests")
    def requests(self, counter: Counter) -> str:
        return figures.grouped(counter.used)

    @display(description="Spent")
    def spent_usd(self, counter: Counter) -> str:
        return figures.micros(counter.spent)

    @display(description="Held")
    def held_usd(self, counter: Counter) -> str:
        return figures.micros(counter.reserved)
