"""The history of all prompts: read-only."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from prompts.admin.words import particulars, sentence
from prompts.models import PromptEvent
from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.filters import TimeFilter


@admin.register(PromptEvent)
class PromptEventAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("when", "prompt_page", "who", "said", "why")
    list_select_related = ("prompt",)
    list_filter = (
        ("at", TimeFilter),
        ("action", ChoicesDropdownFilter),
    )
    search_fields = ("=prompt__key", "=actor_name")
    search_help_text = "A whole key of a prompt, or the whole name of a person."
    ordering = ("-id",)  # as the time goes, and indexed
    fields = (
        "prompt_page",
        ("at", "who"),
        "said",
        "why",
        "more",
    )
    readonly_fields = ("prompt_page", "who", "said", "why", "more")
    empty_text = "Whatever is done to a prompt is written down here, with who and why."

    def lookup_allowed(
        self, lookup: str, value: str, request: HttpRequest | None = None
    ) -> bool:
        # The prompt's own page links here.
        return lookup == "prompt" or bool(
            super().lookup_allowed(lookup, value, request)
        )

    @display(description="When")
    def when(self, event: PromptEvent) -> datetime:
        return event.at

    @display(description="Prompt")
    def prompt_page(self, event: Any) -> str:
        url = reverse("admin:prompts_prompt_change", args=[event.prompt_id])
        return format_html('<a class="vc-link" href="{}">{}</a>', url, event.prompt)

    @display(description="Who")
    def who(self, event: PromptEvent) -> str:
        return event.actor_name

    @display(description="What")
    def said(self, event: PromptEvent) -> str:
        return sentence(event)

    @display(description="Why")
    def why(self, event: Any) -> str:
        return event.reason or "–"

    @display(description="More")
    def more(self, event: PromptEvent) -> str:
        return particulars(event.details) or "–"
