"""The history of all flags: read-only."""

from typing import Any

from django.contrib import admin
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from flags import words
from flags.admin.changes import changed
from flags.models import FlagEvent
from valuecanvas.core.admin import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin_filters import TimeFilter


@admin.register(FlagEvent)
class FlagEventAdmin(ReadOnlyAdmin, LargeTableAdmin):
    list_display = ("at", "flag_name", "actor_name", "said", "why")
    list_defer = ("before", "after", "details")
    list_filter = (
        ("at", TimeFilter),
        ("action", ChoicesDropdownFilter),
    )
    search_fields = ("=flag_name", "=actor_name")
    search_help_text = "A whole name of a flag or of a person."
    ordering = ("-id",)  # as the time goes, and indexed
    fields = (
        ("flag_name", "revision"),
        ("at", "actor_name"),
        "action",
        "reason",
        "what",
        "details",
    )
    readonly_fields = ("what",)
    empty_text = "Whatever is done to a flag is written down here, with who and why."

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
