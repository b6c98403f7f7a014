"""Routes in the admin."""

from django.contrib import admin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RelatedDropdownFilter

from llm.models import Route
from valuecanvas.core.admin.bases import Admin


@admin.register(Route)
class RouteAdmin(Admin):
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
