"""Drafts of experiments: create, edit, check."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from django.core.exceptions import ValidationError
from django.db import transaction

from prompts.experiments import targeting
from prompts.models import Arm, Experiment, Prompt, PromptVersion
from prompts.models.experiment import ExperimentState, Metric
from valuecanvas.core.errors import Conflict
from valuecanvas.core.targeting.bucketing import BUCKETS

MOST_ARMS = 10
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")


@dataclass(frozen=True, slots=True)
class ArmSpec:
    """The settings of an arm. `version` None: that of `production`.

    `weight` is in hundredths of a percent; `model` '' is the version's, or the client's.
    """

    name: str
    weight: int
    version: int | None = None
    model: str = ""
    control: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """The settings of an experiment before it starts."""

    arms: Sequence[ArmSpec]
    hypothesis: str = ""
    tiers: Sequence[str] = ()
    conditions: Sequence[Mapping[str, object]] = ()
    metric: str = Metric.FEEDBACK
    alpha: float = 0.05


def create_draft(
    prompt: Prompt, key: str, draft: Draft, *, owner_id: int | None = None
) -> Experiment:
    """Create an experiment as a draft. Raises ValidationError by field."""
    with transaction.atomic():
        experiment = Experiment(prompt=prompt, key=key, owner_id=owner_id)
        return _save(experiment, draft)


def edit_draft(experiment: Experiment, draft: Draft) -> Experiment:
    """Replace the settings of a draft. Raises ValidationError by field, Conflict."""
    with transaction.atomic():
        locked = Experiment.objects.select_for_update().get(pk=experiment.pk)
        if locked.state != ExperimentState.DRAFT:
            raise Conflict("The experiment has started: only its weights can change.")
        return _save(locked, draft)


def check_arms(prompt: Prompt, arms: Sequence[ArmSpec]) -> dict[str, PromptVersion]:
    """The versions that the arms name, by arm. Raises ValidationError for 'arms'."""
    problem = _problem(arms)
    if problem:
        raise ValidationError({"arms": problem})
    numbers = {arm.version for arm in arms if arm.version is not None}
    rows = PromptVersion.objects.filter(prompt=prompt, number__in=numbers)
    known = {row.number: row for row in rows.only("id", "number", "prompt_id")}
    missing = sorted(numbers - known.keys())
    if missing:
        text = f"'{prompt.key}' has no version {missing[0]}."
        raise ValidationError({"arms": text})
    return {arm.name: known[arm.version] for arm in arms if arm.version is not None}


def check_weights(weights: Mapping[str, int]) -> None:
    """Check that weights add up to 100 %. Raises ValidationError for 'arms'."""
    if any(not 0 <= weight <= BUCKETS for weight in weights.values()):
        raise ValidationError({"arms": "A weight is between 0 and 100 %."})
    whole = sum(weights.values())
    if whole != BUCKETS:
        text = f"The weights add up to {whole / 100:g} %, not 100 %."
        raise ValidationError({"arms": text})


def _problem(arms: Sequence[ArmSpec]) -> str:
    names = [arm.name for arm in arms]
    choices = {(arm.version, arm.model) for arm in arms}
    if not 2 <= len(arms) <= MOST_ARMS:
        return f"An experiment has 2 to {MOST_ARMS} arms."
    wrong = next((name for name in names if not _NAME.fullmatch(name)), None)
    if wrong is not None:
        return f"'{wrong[:40]}' is not a name for an arm: use small letters and digits."
    if len(set(names)) < len(names):
        return "Two arms have the same name."
    if sum(arm.control for arm in arms) != 1:
        return "One arm is the control, with which the others are compared."
    if len(choices) < len(arms):
        return "Two arms are the same: the same version with the same model."
    return ""


def _save(experiment: Experiment, draft: Draft) -> Experiment:
    versions = check_arms(experiment.prompt, draft.arms)
    check_weights({arm.name: arm.weight for arm in draft.arms})
    try:
        targeting.check(list(draft.conditions))
    except ValidationError as error:
        raise ValidationError({"conditions": error.messages}) from error
    experiment.hypothesis = draft.hypothesis
    experiment.tiers = list(draft.tiers)
    experiment.conditions = list(draft.conditions)
    experiment.metric = draft.metric
    experiment.alpha = draft.alpha
    experiment.full_clean()
    experiment.save()
    experiment.arms.all().delete()
    Arm.objects.bulk_create(
        Arm(experiment=experiment, **asdict(arm) | {"version": versions.get(arm.name)})
        for arm in draft.arms
    )
    return experiment
