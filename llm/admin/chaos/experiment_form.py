"""The form of a chaos experiment: the fault's own parameters as plain fields."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminSelect2MultipleWidget,
    UnfoldAdminTextareaWidget,
)

from billing.models import Tier
from llm.admin.experiment import condition_text
from llm.chaos.checks import LEAST_TTL_S
from llm.chaos.faults import PARAMETERS, Parameter, check_parameters
from llm.chaos.plan import ATTRIBUTES
from llm.models import Model, Provider
from llm.models.chaos import PROVIDER_FAULTS, ChaosExperiment
from valuecanvas.core.admin.filters import MOST_NAMES
from valuecanvas.core.admin.forms import ConsoleFields, PercentField
from valuecanvas.core.admin.widgets import SuggestedText
from valuecanvas.core.db.periodic_work import CRON_FIELDS, parse_crontab

ENDPOINTS = ("chat", "responses", "embeddings")


def _field(one: Parameter) -> forms.Field:
    """The form's field of a parameter; check_parameters has its bounds."""
    options: dict[str, Any] = {
        "label": one.label,
        "help_text": one.help,
        "initial": one.default,
        "required": False,
    }
    if one.kind == "choice":
        values = {str(value): value for value in one.choices}
        titles = [(text, text.replace("_", " ")) for text in values]
        return forms.TypedChoiceField(choices=titles, coerce=values.get, **options)
    return forms.IntegerField(**options)


# The form's field -> its fault and parameter.
FAULT_FIELDS = {
    f"{fault}_{one.name}": (fault, one)
    for fault in PROVIDER_FAULTS
    for one in PARAMETERS[fault]
}
ParameterFields = type(
    "ParameterFields",
    (forms.Form,),
    {name: _field(one) for name, (_, one) in FAULT_FIELDS.items()},
)


def _names(
    label: str, help_text: str, *, many: bool = False
) -> forms.MultipleChoiceField:
    widget = UnfoldAdminSelect2MultipleWidget if many else forms.CheckboxSelectMultiple
    return forms.MultipleChoiceField(
        label=label, required=False, widget=widget, help_text=help_text
    )


class ChaosExperimentForm(ConsoleFields, ParameterFields, forms.ModelForm):  # type: ignore[valid-type, misc]  # a base made at run time
    """Checks each value, and that at most one way of starting by itself is chosen."""

    percent = PercentField(
        label="Share, %", initial=1, help_text="Of the calls that match, in percent."
    )
    providers = _names("Providers", "None selected: every provider.")
    model_names = _names("Models", "None selected: every model.", many=True)
    endpoints = _names("Endpoints", "None selected: all of them.")
    for_tiers = _names("Tiers", "None selected: every tier.")
    who = forms.CharField(
        label="Only callers who match",
        required=False,
        max_length=10_000,
        widget=forms.Textarea({"rows": 3}),
        help_text="One condition per line, all must hold: 'user_id in ann, bob', 'team "
        f"equals search', 'tags contains batch'. Attributes are {', '.join(ATTRIBUTES)}.",
    )
    most_error_percent = PercentField(
        label="Failed requests, at most %",
        help_text="Above it the run is aborted. Required: an experiment without a limit "
        "does not begin.",
    )
    least_availability_percent = PercentField(
        label="Availability, at least %", required=False, help_text="Empty: no limit."
    )
    blast_percent = PercentField(
        label="Of all requests, at most %",
        initial=10,
        help_text="However many match: no more than this share of all requests is met.",
    )
    schedule = forms.CharField(
        required=False,
        max_length=200,
        help_text="In UTC: minute, hour, day of the month, month, day of the week. "
        "30 9 * * 2 is each Tuesday at 9:30.",
    )

    class Meta:
        model = ChaosExperiment
        fields = (
            "name", "hypothesis", "fault", "percent", "providers", "model_names", "endpoints",
            "most_error_percent", "least_availability_percent", "most_p95_ms", "most_cost_usd",
            "blast_percent", "ttl_s", "starts_at", "window_begins", "window_ends",
        )  # fmt: skip
        widgets = {"hypothesis": UnfoldAdminTextareaWidget({"rows": 2})}
        labels = {
            "hypothesis": "What you expect",
            "most_p95_ms": "Latency p95, at most ms",
            "most_cost_usd": "Cost of one request, at most USD",
            "ttl_s": "Ends after, seconds",
            "starts_at": "Once, at",
            "window_begins": "Game day, from",
            "window_ends": "Game day, until",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "for_tiers" not in self.fields:
            return
        row = self.instance
        tiers, others = _split(row.conditions)
        self._offer("for_tiers", Tier.objects.values_list("key", "name"), tiers)
        self._offer("providers", Provider.objects.values_list("key", "name"), row.providers)  # fmt: skip
        models = Model.objects.order_by("name").values_list("name", "name")
        self._offer("model_names", models[:MOST_NAMES], row.model_names)
        self._offer("endpoints", [(one, one) for one in ENDPOINTS], row.endpoints)
        self.initial.setdefault("for_tiers", tiers)
        self.initial.setdefault("who", condition_text.format_conditions(others))
        self.fields["schedule"].widget = SuggestedText(["30 9 * * 1-5", "0 10 * * 2"])
        if row.crontab:
            parts = [getattr(row.crontab, name) for name in CRON_FIELDS]
            self.initial.setdefault("schedule", " ".join(parts))
        for name, value in row.parameters.items():
            self.initial.setdefault(f"{row.fault}_{name}", value)

    def _offer(
        self, name: str, known: Iterable[tuple[str, str]], chosen: list[str]
    ) -> None:
        """The choices of a field: what there is, and what was chosen and is gone."""
        choices = dict(known)
        self.fields[name].choices = [
            *choices.items(),
            *((one, f"{one} (gone)") for one in chosen if one not in choices),
        ]

    # -- checks ----------------------------------------------------------------------

    def clean_who(self) -> list[dict[str, Any]]:
        found = condition_text.parse_conditions(self.cleaned_data["who"])
        for one in found:
            if (name := one["attribute"]) not in ATTRIBUTES:
                raise ValidationError(
                    f"'{name}' is no attribute: choose one of {', '.join(ATTRIBUTES)}."
                )
        return found

    def clean_percent(self) -> Any:
        return self._above_zero("percent")

    def clean_blast_percent(self) -> Any:
        found, most = self._above_zero("blast_percent"), settings.CHAOS_MOST_PERCENT
        if settings.PRODUCTION and found > most:
            raise ValidationError(f"Production allows {most:g} at most.")
        return found

    def clean_most_error_percent(self) -> Any:
        found = self.cleaned_data["most_error_percent"]
        if found >= 100:
            raise ValidationError("Choose less than 100: at 100 it would never abort.")
        return found

    def clean_most_p95_ms(self) -> Any:
        return self._above_zero("most_p95_ms")

    def clean_most_cost_usd(self) -> Any:
        return self._above_zero("most_cost_usd")

    def clean_ttl_s(self) -> int:
        found: int = self.cleaned_data["ttl_s"]
        if not LEAST_TTL_S <= found <= settings.CHAOS_MOST_TTL_S:
            raise ValidationError(f"Choose {LEAST_TTL_S} to {settings.CHAOS_MOST_TTL_S}.")  # fmt: skip
        return found

    def clean_schedule(self) -> str:
        found: str = self.cleaned_data["schedule"].strip()
        if found:
            try:
                parse_crontab(found)
            except ValidationError as error:
                raise ValidationError(error.messages) from None
        return found

    def clean_starts_at(self) -> Any:
        found = self.cleaned_data["starts_at"]
        if found and "starts_at" in self.changed_data and found <= timezone.now():
            raise ValidationError("Choose a time that is still to come.")
        return found

    def _above_zero(self, name: str) -> Any:
        found = self.cleaned_data[name]
        if found is not None and found <= 0:
            raise ValidationError("Choose more than 0.")
        return found

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        self._check_parameters(data)
        self._check_times(data)
        if not self.errors:
            tiers = data["for_tiers"]
            chosen = {"attribute": "tier", "operator": "in", "value": tiers}
            self.instance.conditions = [*([chosen] if tiers else []), *data["who"]]
        return data

    def _check_parameters(self, data: dict[str, Any]) -> None:
        given: dict[str, Any] = {}
        for name, (fault, one) in FAULT_FIELDS.items():
            if fault != data.get("fault"):
                # Of another fault, and hidden.
                self._errors.pop(name, None)
            elif data.get(name) not in (None, ""):
                given[one.name] = data[name]
        if chosen := data.get("fault"):
            for name, message in check_parameters(chosen, given).items():
                field = f"{chosen}_{name}"
                if field not in self.errors:
                    self.add_error(field if field in self.fields else "fault", message)
        self.instance.parameters = given

    def _check_times(self, data: dict[str, Any]) -> None:
        begins, ends = data.get("window_begins"), data.get("window_ends")
        if bool(begins) != bool(ends):
            missing = "window_ends" if begins else "window_begins"
            self.add_error(missing, "A game day needs its begin and its end.")
        elif begins and ends and ends <= begins:
            self.add_error("window_ends", "Choose a time after its begin.")
        chosen = [one for one in ("starts_at", "schedule", "window_begins") if data.get(one)]  # fmt: skip
        if len(chosen) > 1:
            self.add_error(chosen[1], "Choose one: once, by a schedule, or a game day.")


def _split(conditions: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """The tiers that are picked, and all other conditions."""
    for number, one in enumerate(conditions):
        if one.get("attribute") == "tier" and one.get("operator") == "in":
            others = [*conditions[:number], *conditions[number + 1 :]]
            return list(one.get("value") or []), others
    return [], list(conditions)
