"""Back to an earlier state of a flag: what would change, and why it is done."""

from typing import Any

from django.http import Http404, HttpResponse

from flags import services
from flags.admin.exposures import exposures
from flags.admin.section import FlagPage
from flags.documents import document
from flags.wording.field_changes import changed_fields
from valuecanvas.core.admin.pages import Page
from valuecanvas.core.errors import Conflict

# Neither comes back with an earlier state.
_KEPT = {"killed", "archived"}


class RevertPage(FlagPage):
    """GET shows what would change back, POST does it."""

    name = "revert"
    url = "revert/<int:event_id>/"
    anchor = "history"
    verb = "Return to it"

    def __init__(self, *args: Any, event_id: int) -> None:
        super().__init__(*args)
        self.event = event = self.original.events.filter(pk=event_id).first()
        if event is None or not event.after:
            raise Http404("The flag has no such event.")
        self.title = f"Return {self.original.name} to change {event.revision}"
        self.text = (
            f"As it was after {event.actor_name} changed it on "
            f"{event.at:%b %d, %H:%M} UTC. What is scheduled is cancelled."
        )

    def act(self, form: Any) -> str:
        services.revert(self.event, **form.said(self.actor))
        flag, number = self.original.name, self.event.revision
        return f"{flag} is again as it was after change {number}."

    def context(self, conflict: Conflict | None) -> dict[str, Any]:
        after = {n: v for n, v in self.event.after.items() if n not in _KEPT}
        changes = changed_fields(document.state(self.original), after)
        return {**super().context(conflict), "changes": changes, "compared": True}


class ExposuresFragment(Page):
    """How often each variant was given, over time."""

    name = "exposures"
    needs = "view"

    def answer(self) -> HttpResponse:
        found = exposures(self.original.name, self.request.GET.get("span", ""))
        template = "admin/flags/flag/exposures.html"
        return self.fragment(template, flag=self.original, shown=found)
