"""The history of changes to objects of one kind: who did what, when and why."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from unfold.contrib.filters.admin import ChoicesDropdownFilter

from valuecanvas.core.admin.bases import LargeTableAdmin, ReadOnlyAdmin, display
from valuecanvas.core.admin.filters import TimeFilter


class EventAdmin(ReadOnlyAdmin, LargeTableAdmin):
    """Read-only. A subclass has the columns `subject` and `more`."""

    # An event as a sentence, after the name of who did it.
    sentence: Callable[[Any], str]
    list_display = ("when", "subject", "who", "what", "why")
    list_filter = (("at", TimeFilter), ("action", ChoicesDropdownFilter))
    ordering = ("-id",)  # as the time goes, and indexed
    fields: tuple[Any, ...] = ("subject", ("at", "who"), "what", "why", "more")

    @display(description="When")
    def when(self, event: Any) -> datetime:
        at: datetime = event.at
        return at

    @display(description="Who")
    def who(self, event: Any) -> str:
        return str(event.actor_name)

    @display(description="What")
    def what(self, event: Any) -> str:
        return type(self).sentence(event)

    @display(description="Why")
    def why(self, event: Any) -> str:
        return event.reason or "–"
