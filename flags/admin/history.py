"""Back to an earlier state of a flag: what would change, and why it is done."""

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern

from flags import services
from flags.admin.exposures import chart
from flags.admin.section import Section
from flags.documents import document
from flags.models import Flag, FlagEvent
from flags.wording.changes import changed


class RevertForm(Section):
    key = "revert"

    def __init__(self, flag: Flag, data: Any = None, *, event: FlagEvent) -> None:
        super().__init__(flag, data)
        self.event = event

    def apply(self, actor: Any) -> str:
        services.revert(self.event, **self.said(actor))
        return (
            f"{self.flag.name} is again as it was after change {self.event.revision}."
        )


class HistoryMixin:
    """For the admin of flags."""

    one: Any
    route: Any
    decide: Callable[..., HttpResponse]

    def history_urls(self) -> list[URLPattern]:
        views = (
            ("revert/<int:event_id>/", self.revert_view, "revert"),
            ("exposures/", self.exposures_view, "exposures"),
        )
        return [
            self.route(f"<path:object_id>/{url}", view, f"flags_flag_{name}")
            for url, view, name in views
        ]

    def revert_view(
        self, request: HttpRequest, object_id: str, event_id: int
    ) -> HttpResponse:
        """GET shows what would change back, POST does it."""
        flag = self.one(request, object_id)
        event = flag.events.filter(pk=event_id).first()
        if event is None or not event.after:
            raise Http404("The flag has no such event.")
        form = RevertForm(flag, request.POST or None, event=event)
        # Neither comes back with it.
        told = {"killed", "archived"}
        after = {name: v for name, v in event.after.items() if name not in told}
        return self.decide(
            request,
            form,
            "decide.html",
            f"Return {flag.name} to change {event.revision}",
            anchor="history",
            text=f"As it was after {event.actor_name} changed it on "
            f"{event.at:%b %d, %H:%M} UTC. What is scheduled is cancelled.",
            changes=changed(document.state(flag), after),
            compared=True,
            verb="Return to it",
            danger=False,
        )

    def exposures_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A fragment: how often each variant was given, over time."""
        flag = self.one(request, object_id, "view")
        shown = chart(flag.name, request.GET.get("span", ""))
        context = {"flag": flag, "chart": shown}
        return render(request, "admin/flags/flag/exposures.html", context)
