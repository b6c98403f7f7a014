"""Routes in the admin."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RelatedDropdownFilter

from llm.models import Model, Route
from valuecanvas.core.admin.guard import Effects, GuardedAdmin

MOST_NAMED = 10


def usable_routes(models: Iterable[str]) -> QuerySet[Route]:
    """The routes of enabled models by which requests can be served."""
    return Route.objects.filter(
        model__in=models, model__enabled=True, enabled=True, provider__enabled=True
    )


def route_effects(models: Iterable[str]) -> Effects:
    """Which of `models`, that had a usable route, have none now."""
    served = set(usable_routes(models).values_list("model", flat=True))
    unserved = Model.objects.filter(pk__in=set(models) - served, enabled=True)
    names = list(unserved.values_list("name", flat=True)[: MOST_NAMED + 1])
    if not names:
        return {}
    text = ", ".join(names[:MOST_NAMED]) + (" and more" if names[MOST_NAMED:] else "")
    return {
        "route": f"No usable route is left, and all requests are refused, for: {text}."
    }


@admin.register(Route)
class RouteAdmin(GuardedAdmin):
    list_display = (
        "model",
        "provider",
        "upstream_model",
        "priority",
        "weight",
        "enabled",
    )
    list_select_related = ("model", "provider")
    list_filter = (
        ("model", AutocompleteSelectFilter),
        ("provider", RelatedDropdownFilter),
        "enabled",
    )
    search_fields = ("model__name", "upstream_model")
    autocomplete_fields = ("model", "provider")
    ordering = ("model", "priority", "-weight")  # the order in which they are tried
    sortable_by = ()
    empty_text = (
        "A route says which provider serves a model. Give each model one, and a "
        "second with priority 2 to fall back on."
    )

    def effects(self, request: HttpRequest, before: Any, after: Any) -> Effects:
        if before is None or not (before.enabled and before.provider.enabled):
            return {}
        return route_effects([before.model_id])
