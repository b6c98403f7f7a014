"""The page that cancels a scheduled change, or the rest of a ramp."""

from typing import Any

from django.http import Http404

from flags import services
from flags.admin.section import FlagPage
from flags.models import ChangeState, ScheduledChange
from flags.wording import words


class CancelPage(FlagPage):
    """Cancels a scheduled change, or all pending steps of a ramp."""

    name = "cancel"
    url = "schedule/<int:change_id>/cancel/"
    anchor = "schedule"
    danger = True

    def __init__(self, *args: Any, change_id: int) -> None:
        super().__init__(*args)
        schedule = self.original.schedule
        found: ScheduledChange | None = schedule.filter(pk=change_id).first()
        if found is None:
            raise Http404("The flag has no such scheduled change.")
        self.change = found
        self.title = self.verb = (
            "Cancel the ramp" if found.ramp else "Cancel the change"
        )
        text = words.change(found.kind, found.payload)
        self.text = f"{text}, on {found.at:%b %d, %H:%M} UTC."
        if found.ramp:
            still = schedule.filter(ramp=found.ramp, state=ChangeState.PENDING).count()
            self.text = f"{still} steps are pending. The next is: {self.text}"

    def act(self, form: Any) -> str:
        why = {"actor": self.actor, "reason": form.cleaned_data["reason"]}
        if self.change.ramp:
            services.cancel_ramp(self.original, self.change.ramp, **why)
            return "The rest of the ramp is cancelled; the percentage stays as it is."
        services.cancel(self.change, **why)
        return "The change is cancelled."
