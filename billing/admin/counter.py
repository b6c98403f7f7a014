"""Counters in the admin: what each scope used, spent and holds in a day."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.models import Counter
from valuecanvas.core.admin import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.templatetags import figures

SCOPES = {"g": "everyone", "t": "team", "c": "customer", "k": "API key"}


@admin.register(Counter)
class CounterAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("day", "whose", "scope_id", "used", "spent_usd", "held_usd")
    search_fields = ("scope_id",)  # see get_search_results
    search_help_text = "The whole id of a customer, a team, or the prefix of a key."
    ordering = ("-day", "-key")
    fields = ("key", "day", "whose", "scope_id", "used", "spent_usd", "held_usd")
    readonly_fields = ("whose", "spent_usd", "held_usd")
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

    @display(description="Whose")
    def whose(self, counter: Counter) -> str:
        return SCOPES.get(counter.scope, counter.scope)

    @display(description="Spent")
    def spent_usd(self, counter: Counter) -> str:
        return figures.micros(counter.spent)

    @display(description="Held")
    def held_usd(self, counter: Counter) -> str:
        return figures.micros(counter.reserved)
