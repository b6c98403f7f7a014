"""The pages that cancel what is scheduled: one change, or the rest of a ramp."""

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern

from flags import services
from flags.admin.section import Section
from flags.models import ChangeState, Flag, ScheduledChange
from flags.wording import words


class CancelForm(Section):
    """Cancels a change; of a ramp, all that is still to come."""

    key = "cancel"

    def __init__(
        self, flag: Flag, data: Any = None, *, change: ScheduledChange
    ) -> None:
        super().__init__(flag, data)
        self.change = change

    def apply(self, actor: Any) -> str:
        why = {"actor": actor, "reason": self.cleaned_data["reason"]}
        if self.change.ramp:
            services.cancel_ramp(self.flag, self.change.ramp, **why)
            return "The rest of the ramp is cancelled; the percentage stays as it is."
        services.cancel(self.change, **why)
        return "The change is cancelled."


class ScheduleMixin:
    """For the admin of flags."""

    one: Any
    route: Any
    decide: Callable[..., HttpResponse]

    def schedule_urls(self) -> list[URLPattern]:
        return [
            self.route(
                "<path:object_id>/schedule/<int:change_id>/cancel/",
                self.cancel_view,
                "flags_flag_cancel",
            )
        ]

    def cancel_view(
        self, request: HttpRequest, object_id: str, change_id: int
    ) -> HttpResponse:
        flag = self.one(request, object_id)
        change = flag.schedule.filter(pk=change_id).first()
        if change is None:
            raise Http404("The flag has no such scheduled change.")
        form = CancelForm(flag, request.POST or None, change=change)
        still = flag.schedule.filter(ramp=change.ramp, state=ChangeState.PENDING)
        said = words.change(change.kind, change.payload)
        text = f"{said}, on {change.at:%b %d, %H:%M} UTC."
        if change.ramp:
            text = f"{still.count()} steps are still to come, the next is: {text}"
        return self.decide(
            request,
            form,
            "decide.html",
            "Cancel the ramp" if change.ramp else "Cancel the change",
            anchor="schedule",
            text=text,
            verb="Cancel the ramp" if change.ramp else "Cancel the change",
            danger=True,
        )
