"""The history of all flags: read-only."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from flags.models import FlagEvent
from flags.wording import words
from flags.wording.changes import changed
from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.filters import TimeFilter


@admin.register(FlagEvent)
class FlagEventAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("when", "flag_page", "who", "said", "why")
    list_select_related = ("flag",)
    list_defer = ("before", "after", "details")
    list_filter = (
        ("at", TimeFilter),
        ("action", ChoicesDropdownFilter),
    )
    search_fields = ("=flag_name", "=actor_name")
    search_help_text = "A whole name of a flag or of a person."
    ordering = ("-id",)  # as the time goes, and indexed
    fields = (
        ("flag_page", "revision"),
        ("at", "who"),
        "said",
        "why",
        "what",
    )
    readonly_fields = ("flag_page", "who", "said", "why", "what")
    empty_text = "Whatever is done to a flag is written down here, with who and why."

    @display(description="When")
    def when(self, event: FlagEvent) -> datetime:
        return event.at

    @display(description="Flag")
    def flag_page(self, event: Any) -> str:
        if event.flag_id is None:
            return f"{event.flag_name} (deleted)"
        url = reverse("admin:flags_flag_change", args=[event.flag_id])
        return format_html('<a class="vc-link" href="{}">{}</a>', url, event.flag_name)

    @display(description="Who")
    def who(self, event: FlagEvent) -> str:
        return event.actor_name

    @display(description="What")
    def said(self, event: FlagEvent) -> str:
        return words.sentence(event)

    @display(description="Why")
    def why(self, event: FlagEvent) -> str:
        return event.reason or "–"

    @display(description="What changed")
    def what(self, event: Any) -> str:
        rows = changed(event.before, event.after)
        return "; ".join(f"{one.title}: {one.before} → {one.after}" for one in rows) or "–"  # fmt: skip
