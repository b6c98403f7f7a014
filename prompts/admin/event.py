"""The history of all prompts: read-only."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from prompts.admin.words import sentence
from prompts.models import PromptEvent
from valuecanvas.core.admin import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin_filters import TimeFilter


@admin.register(PromptEvent)
class PromptEventAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("at", "prompt", "actor_name", "said", "why")
    list_select_related = ("prompt",)
    list_defer = ("details",)
    list_filter = (
        ("at", TimeFilter),
        ("action", ChoicesDropdownFilter),
    )
    search_fields = ("=prompt__key", "=actor_name")
    search_help_text = "A whole key of a prompt, or the whole name of a person."
    ordering = ("-id",)  # as the time goes, and indexed
    fields = (
        "prompt",
        ("at", "actor_name"),
        "action",
        "label",
        ("from_version", "to_version"),
        "reason",
        "details",
    )
    empty_text = "Whatever is done to a prompt is written down here, with who and why."

    def lookup_allowed(
        self, lookup: str, value: str, request: HttpRequest | None = None
    ) -> bool:
        # The prompt's own page links here.
        return lookup == "prompt" or bool(
            super().lookup_allowed(lookup, value, request)
        )

    @display(description="What")
    def said(self, event: PromptEvent) -> str:
        return sentence(event)

    @display(description="Why")
    def why(self, event: Any) -> str:
        return event.reason or "–"
