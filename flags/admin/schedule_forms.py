"""The forms that schedule one change, or a ramp of percentages."""

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from flags import services
from flags.actor import FlagActor
from flags.admin.section import Section
from flags.models import ChangeKind, Flag
from flags.wording import words
from valuecanvas.core.admin.forms import PercentField
from valuecanvas.core.targeting.bucketing import BUCKETS

UNITS = (("hours", "hours"), ("days", "days"), ("weeks", "weeks"))
KINDS = (
    (ChangeKind.SET_PERCENT.value, "Set the percentage"),
    (ChangeKind.ENABLE.value, "Turn on"),
    (ChangeKind.DISABLE.value, "Turn off"),
    (ChangeKind.KILL.value, "Kill"),
)
WEIGHTS = (ChangeKind.SET_WEIGHTS.value, "Set the weights of the variants")


def moment(**options: Any) -> forms.DateTimeField:
    """A time in UTC, chosen in the browser's own calendar."""
    return forms.DateTimeField(
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"],
        widget=forms.TextInput({"type": "datetime-local"}),
        error_messages={
            "required": "Enter a time, such as 2026-12-31 14:00.",
            "invalid": "Write the time as 2026-12-31 14:00.",
        },
        **options,
    )


class ChangeForm(Section):
    """Schedules one change."""

    key = "schedule"

    kind = forms.ChoiceField(label="Change")
    at = moment(label="When, UTC")
    percent = PercentField(label="Percentage", required=False)

    def __init__(self, flag: Flag, data: Any = None, initial: Any = None) -> None:
        super().__init__(flag, data, initial)
        self.variants = list(flag.variants.order_by("pk"))
        choices = [*KINDS, WEIGHTS] if self.variants else list(KINDS)
        self.fields["kind"].choices = choices

    def weights(self) -> list[tuple[str, str]]:
        """The weight of each variant, as entered or as it is now."""
        return [
            (one.name, self.data.get(f"weight_{one.name}", f"{one.weight / 100:g}"))
            for one in self.variants
        ]

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        kind, percent = given.get("kind"), given.get("percent")
        given["payload"] = {}
        if kind == ChangeKind.SET_PERCENT:
            given["payload"] = {"percent": str(percent)}
            if percent is None and "percent" not in self.errors:
                self.add_error("percent", "Enter a percentage from 0 to 100.")
        elif kind == ChangeKind.SET_WEIGHTS:
            given["payload"] = {"weights": self._weights()}
        return given

    def _weights(self) -> dict[str, int]:
        try:
            found = {name: int(Decimal(text) * 100) for name, text in self.weights()}
        except (InvalidOperation, OverflowError) as error:
            raise ValidationError("Weights are percentages from 0 to 100.") from error
        if sum(found.values()) != BUCKETS or min(found.values()) < 0:
            total = sum(found.values()) / 100
            raise ValidationError(
                f"The weights add up to {total:g} %; they must add up to 100 %."
            )
        return found

    def apply(self, actor: FlagActor) -> str:
        given = self.cleaned_data
        made = services.schedule(
            self.flag,
            given["kind"],
            at=given["at"],
            payload=given["payload"],
            **self.why(actor),
        )
        text = words.change(made.kind, made.payload)
        return f"Scheduled for {made.at:%b %d, %H:%M} UTC: {text}."


class RampForm(Section):
    """Schedules a ramp: the percentage grows or shrinks step by step."""

    key = "ramp"
    anchor = "schedule"

    step = PercentField(label="Points per step", initial=5)
    number = forms.IntegerField(
        label="Every",
        min_value=1,
        max_value=1000,
        initial=1,
    )
    unit = forms.ChoiceField(label="Unit", choices=UNITS, initial="days")
    to = PercentField(label="Until, in percent", initial=100)
    start = moment(label="First step at, UTC")

    def apply(self, actor: FlagActor) -> str:
        given = self.cleaned_data
        every = dt.timedelta(**{given["unit"]: given["number"]})
        made = services.ramp(
            self.flag,
            to=given["to"],
            step=given["step"],
            every=every,
            start=given["start"],
            **self.why(actor),
        )
        last = made[-1]
        return (
            f"{len(made)} steps are scheduled, the last one to "
            f"{words.change(last.kind, last.payload)} on {last.at:%b %d, %H:%M} UTC."
        )
