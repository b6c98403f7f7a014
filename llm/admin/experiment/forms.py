"""The forms of experiments: draft, arms, weights, reason."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget

from billing.models import Tier
from llm.admin.experiment import condition_text
from llm.models import Model
from llm.prompting.arms import faults
from prompts.experiments.drafts import ArmSpec, Draft, check_arms, check_weights
from prompts.models import Arm, Experiment
from valuecanvas.core.admin.forms import (
    ConsoleFields,
    ConsoleForm,
    PercentField,
    hundredths,
)
from valuecanvas.core.admin.widgets import SuggestedText

LONGEST_REASON = 2000


# The arms of a new draft.
FIRST_ARMS = (
    {"name": "current", "share": 50, "control": True},
    {"name": "new", "share": 50},
)


class ArmForm(ConsoleFields, forms.ModelForm):
    """One arm: its version by number, its weight in percent."""

    number = forms.IntegerField(
        label="Version",
        min_value=1,
        required=False,
        help_text="Empty: the live version.",
    )
    share = PercentField(label="Share, %")

    class Meta:
        model = Arm
        fields = ("name", "number", "model", "share", "control")

    def __init__(self, *args: Any, models: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "model" in self.fields:
            self.fields["model"].widget = SuggestedText(models)
        arm = self.instance
        if arm.pk:
            self.initial["number"] = arm.version.number if arm.version else None
            self.initial["share"] = Decimal(arm.weight) / 100

    def clean_model(self) -> str:
        name: str = self.cleaned_data["model"]
        if fault := faults([name]).get(name):
            raise ValidationError(fault)
        return name

    def validate_constraints(self) -> None:
        """No check: all arms in the database are replaced."""

    def spec(self) -> ArmSpec:
        data = self.cleaned_data
        return ArmSpec(
            name=data["name"],
            weight=hundredths(data["share"]),
            version=data["number"],
            model=data["model"],
            control=data["control"],
        )


class ArmFormSet(forms.BaseInlineFormSet):
    """All arms: names differ, shares add up to 100 %, one is the control."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chat = Model.objects.filter(enabled=True, kind=Model.Kind.CHAT)
        self.form_kwargs["models"] = list(chat.values_list("name", flat=True))
        if self.instance.pk is None:
            self.initial_extra = FIRST_ARMS

    def _construct_form(self, i: int, **kwargs: Any) -> Any:
        form = super()._construct_form(i, **kwargs)  # type: ignore[misc]
        # The suggested arms count also when they are left unchanged.
        form.empty_permitted = form.empty_permitted and not form.initial.get("name")
        return form

    def specs(self) -> list[ArmSpec]:
        filled: list[Any] = [one for one in self.forms if one.cleaned_data.get("name")]
        return [one.spec() for one in filled if not one.cleaned_data.get("DELETE")]

    def clean(self) -> None:
        super().clean()
        if any(form.errors for form in self.forms) or not self.instance.prompt_id:
            return
        specs = self.specs()
        try:
            check_arms(self.instance.prompt, specs)
            check_weights({one.name: one.weight for one in specs})
        except ValidationError as error:
            raise ValidationError(error.messages) from error


class DraftForm(ConsoleFields, forms.ModelForm):
    """The draft of an experiment: prompt, callers, metric."""

    for_tiers = forms.MultipleChoiceField(
        label="Only these tiers",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None selected: every tier.",
    )
    who = forms.CharField(
        label="Only callers who match",
        required=False,
        max_length=10_000,
        widget=forms.Textarea({"rows": 3}),
        help_text=f"One condition per line, all must hold: '{condition_text.EXAMPLE}', "
        "'plan equals pro', 'age gte 18', 'beta exists'. Attributes are tier, team, "
        "user, and what the client sends in x-valuecanvas-context.",
    )

    class Meta:
        model = Experiment
        fields = ("key", "prompt", "hypothesis", "metric", "alpha")
        labels = {"metric": "Metric", "alpha": "Risk of a false claim"}
        help_texts = {
            "key": "A short name that never changes, as in 'shorter-canvas'.",
            "metric": "Choose it before the start: looking at several and taking the "
            "best one would find a winner by chance.",
            "alpha": "0.05: where there is no difference, one is claimed in at most 5 "
            "of 100 experiments, however often you look.",
        }
        widgets = {"hypothesis": UnfoldAdminTextareaWidget({"rows": 2})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "for_tiers" not in self.fields:
            return
        tiers = Tier.objects.values_list("key", "name")
        kept = [(key, key) for key in self.instance.tiers if key not in dict(tiers)]
        self.fields["for_tiers"].choices = [*tiers, *kept]
        self.initial.setdefault("for_tiers", self.instance.tiers)
        who = condition_text.format_conditions(self.instance.conditions)
        self.initial.setdefault("who", who)

    def clean_who(self) -> list[dict[str, Any]]:
        return condition_text.parse_conditions(self.cleaned_data["who"])

    def draft(self, arms: list[ArmSpec]) -> Draft:
        data = self.cleaned_data
        return Draft(
            arms=arms,
            hypothesis=data["hypothesis"],
            tiers=data["for_tiers"],
            conditions=data["who"],
            metric=data["metric"],
            alpha=data["alpha"],
        )


class ExperimentReasonForm(ConsoleForm):
    """The reason of an action on an experiment with `arms`."""

    reason = forms.CharField(
        max_length=LONGEST_REASON,
        widget=forms.Textarea({"rows": 2}),
        help_text="Kept in the history, with your name.",
    )

    def __init__(self, data: Any = None, *, arms: list[Arm]) -> None:
        super().__init__(data)
        self.arms = arms


class ExperimentStartForm(ExperimentReasonForm):
    """The form to start: the hypothesis replaces the reason."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = False


class WeightsForm(ExperimentReasonForm):
    """A share for each arm."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shares = {
            f"share-{arm.pk}": PercentField(
                label=f"Share of {arm.name}, %", initial=Decimal(arm.weight) / 100
            )
            for arm in self.arms
        }
        self.fields = {**shares, **self.fields}

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            try:
                check_weights(self.weights())
            except ValidationError as error:
                raise ValidationError(error.messages) from error
        return data

    def weights(self) -> dict[str, int]:
        return {
            arm.name: hundredths(self.cleaned_data[f"share-{arm.pk}"])
            for arm in self.arms
        }


class PromoteForm(ExperimentReasonForm):
    """The arm to promote."""

    arm = forms.ChoiceField(
        help_text="Its version becomes the live one: 'production' moves to it.",
    )
    field_order = ("arm", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # No default: a hasty click would promote the control.
        self.fields["arm"].choices = [
            ("", "Choose the winner"),
            *((arm.name, f"{arm.name}: {describe_arm(arm)}") for arm in self.arms),
        ]


def describe_arm(arm: Arm) -> str:
    """The version and model of an arm in words."""
    version = f"version {arm.version.number}" if arm.version else "the live version"
    return f"{version} with {arm.model}" if arm.model else version
