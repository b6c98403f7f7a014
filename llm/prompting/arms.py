"""Checks that the models of an experiment's arms can answer."""

from collections.abc import Iterable, Sequence

from django.core.exceptions import ValidationError

from llm.models import Model
from prompts.experiments.drafts import ArmSpec


def faults(names: Iterable[str]) -> dict[str, str]:
    """What is wrong with these models, by name; valid ones are left out."""
    wanted = {name for name in names if name}
    if not wanted:
        return {}
    rows = Model.objects.filter(pk__in=wanted).values_list("name", "enabled", "kind")
    found = dict.fromkeys(sorted(wanted), "There is no model '{}'.")
    for name, enabled, kind in rows:
        if not enabled:
            found[name] = "The model '{}' is switched off."
        elif kind != Model.Kind.CHAT:
            found[name] = "The model '{}' is not for chats."
        else:
            del found[name]
    return {name: text.format(name) for name, text in found.items()}


def check(arms: Sequence[ArmSpec]) -> None:
    """Raises ValidationError for 'arms' unless all their models can answer."""
    found = faults(arm.model for arm in arms)
    for arm in arms:
        if arm.model in found:
            raise ValidationError({"arms": f"Arm '{arm.name}': {found[arm.model]}"})
