"""The page that reverts a flag to an earlier state, and the chart of evaluations."""

from typing import Any

from django.http import Http404, HttpResponse

from flags import services
from flags.admin.exposures import exposures
from flags.admin.section import FlagPage
from flags.documents import document
from flags.wording.field_changes import changed_fields
from valuecanvas.core.admin.pages import Page
from valuecanvas.core.errors import Conflict

# A revert does not change these.
_KEPT = {"killed", "archived"}


class RevertPage(FlagPage):
    """GET shows what a revert would change, POST reverts."""

    name = "revert"
    url = "revert/<int:event_id>/"
    anchor = "history"
    verb = "Revert"

    def __init__(self, *args: Any, event_id: int) -> None:
        super().__init__(*args)
        self.event = event = self.original.events.filter(pk=event_id).first()
        if event is None or not event.after:
            raise Http404("The flag has no such event.")
        self.title = f"Revert {self.original.name} to change {event.revision}"
        self.text = (
            f"The flag becomes what it was after {event.actor_name} changed it on "
            f"{event.at:%b %d, %H:%M} UTC. Scheduled changes are cancelled."
        )

    def act(self, form: Any) -> str:
        services.revert(self.event, **form.why(self.actor))
        flag, number = self.original.name, self.event.revision
        return f"{flag} is reverted to change {number}."

    def context(self, conflict: Conflict | None) -> dict[str, Any]:
        after = {n: v for n, v in self.event.after.items() if n not in _KEPT}
        changes = changed_fields(document.state(self.original), after)
        return {**super().context(conflict), "changes": changes, "compared": True}


class ExposuresFragment(Page):
    """A fragment: evaluations over time by variant."""

    name = "exposures"
    needs = "view"

    def answer(self) -> HttpResponse:
        found = exposures(self.original.name, self.request.GET.get("span", ""))
        template = "admin/flags/flag/exposures.html"
        return self.fragment(template, flag=self.original, shown=found)
