"""The history of all flags: read-only."""

from typing import Any

from django.contrib import admin

from flags.models import FlagEvent
from flags.wording import words
from flags.wording.field_changes import changed_fields
from valuecanvas.core.admin.bases import display
from valuecanvas.core.admin.columns import link
from valuecanvas.core.admin.history import EventAdmin


@admin.register(FlagEvent)
class FlagEventAdmin(EventAdmin):
    sentence = staticmethod(words.sentence)
    list_select_related = ("flag",)
    list_defer = ("before", "after", "details")
    search_fields = ("=flag_name", "=actor_name")
    search_help_text = "A whole name of a flag or of a person."
    fields = (("subject", "revision"), ("at", "who"), "what", "why", "more")
    empty_text = "Every change of a flag is listed here, with who made it and why."

    @display(description="Flag")
    def subject(self, event: Any) -> str:
        if event.flag_id is None:
            return f"{event.flag_name} (deleted)"
        return link("flags_flag", event.flag_id, event.flag_name)

    @display(description="What changed")
    def more(self, event: Any) -> str:
        rows = changed_fields(event.before, event.after)
        return "; ".join(f"{one.title}: {one.before} → {one.after}" for one in rows) or "–"  # fmt: skip
