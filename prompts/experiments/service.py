"""The life cycle of experiments: start, change weights, stop, promote; all audited."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from prompts.experiments.drafts import ArmSpec, check_arms, check_weights
from prompts.models import Arm, Experiment, Prompt, PromptEvent, PromptVersion
from prompts.models.event import PromptAction
from prompts.models.experiment import ExperimentState
from prompts.rendering.label_names import PRODUCTION
from prompts.services import PromptActor, add_version, move_label
from prompts.services.actor import require_move
from prompts.services.audit import lock, record
from prompts.services.composition import check_use
from prompts.services.prompt import refuse_second_split
from valuecanvas.core.errors import Conflict
from valuecanvas.core.targeting.bucketing import (
    allocate,
    dump_allocation,
    load_allocation,
)

# Checks that the models of arms are usable: another app knows that.
# Raises ValidationError for 'arms'.
CheckModels = Callable[[Sequence[ArmSpec]], None]


def start(
    experiment: Experiment,
    *,
    actor: PromptActor,
    reason: str = "",
    check_models: CheckModels | None = None,
) -> Experiment:
    """Start the experiment: it applies to requests from now on.

    Raises Conflict (not a draft, another experiment runs, a rollout is under way),
    NotPermitted (`production` is protected, and arms would replace it), and
    ValidationError (the draft is not valid any more).
    """
    require_move(actor, PRODUCTION)
    with transaction.atomic():
        prompt, found = _locked(experiment, ExperimentState.DRAFT)
        refuse_second_split(prompt)
        specs = [_spec(arm) for arm in found.arms.select_related("version")]
        for version in check_arms(prompt, specs).values():
            check_use(prompt, version.number)
        weights = {arm.name: arm.weight for arm in specs}
        check_weights(weights)
        if check_models is not None:
            check_models(specs)
        found.allocation = dump_allocation(allocate(weights))
        found.state = ExperimentState.RUNNING
        found.started_at = timezone.now()
        found.save()
        _note(found, PromptAction.EXPERIMENT_STARTED, actor, reason, weights=weights)
    return found


def change_weights(
    experiment: Experiment,
    weights: Mapping[str, int],
    *,
    actor: PromptActor,
    reason: str,
) -> Experiment:
    """Change the weights: hundredths of a percent that add up to 10,000.

    Callers change arms only into an arm that grows. The figures start from zero:
    earlier ones came from another mix of users and days.
    Raises Conflict (not running), NotPermitted like `start`, and ValidationError
    (wrong weights).
    """
    require_move(actor, PRODUCTION)
    with transaction.atomic():
        _, found = _locked(experiment, ExperimentState.RUNNING)
        arms = {arm.name: arm for arm in found.arms.all()}
        if weights.keys() != arms.keys():
            raise ValidationError({"arms": "Give every arm a weight, and no other."})
        check_weights(weights)
        before = {name: arm.weight for name, arm in arms.items()}
        for name, weight in weights.items():
            if arms[name].weight != weight:
                arms[name].weight = weight
                arms[name].save(update_fields=["weight"])
        found.allocation = dump_allocation(
            allocate(weights, load_allocation(found.allocation))
        )
        found.save()
        _note(
            found,
            PromptAction.EXPERIMENT_CHANGED,
            actor,
            reason,
            weights=dict(weights),
            before=before,
        )
    return found


def stop(experiment: Experiment, *, actor: PromptActor, reason: str) -> Experiment:
    """Stop the experiment: everybody gets the live version. Raises Conflict."""
    with transaction.atomic():
        _, found = _locked(experiment, ExperimentState.RUNNING)
        _mark_stopped(found, reason)
        _note(found, PromptAction.EXPERIMENT_STOPPED, actor, reason)
    return found


def promote(
    experiment: Experiment,
    arm_name: str,
    *,
    actor: PromptActor,
    reason: str,
    check_models: CheckModels | None = None,
) -> Experiment:
    """Promote an arm: `production` moves to its version.

    Ends the experiment if it runs. An arm with a model of its own becomes a new version
    first. Raises Conflict (a draft; promoted before), ValidationError (no such arm; its
    model is gone), NotPermitted (a protected label).
    """
    with transaction.atomic():
        running, stopped = ExperimentState.RUNNING, ExperimentState.STOPPED
        prompt, found = _locked(experiment, running, stopped)
        if found.winner:
            raise Conflict(f"'{found.winner}' is promoted already.")
        arm = found.arms.select_related("version").filter(name=arm_name).first()
        if arm is None:
            raise ValidationError({"arm": f"There is no arm '{arm_name[:40]}'."})
        if check_models is not None:
            check_models([_spec(arm)])
        if found.state == ExperimentState.RUNNING:
            _mark_stopped(found, reason)
        found.winner = arm.name
        found.save()
        before = _production(prompt)
        version = _version_of(arm, before, actor=actor, experiment=found)
        if version is not None and version != before:
            move_label(
                prompt,
                PRODUCTION,
                version,
                expected=before.number if before else None,
                actor=actor,
                reason=f"Winner of the experiment {found.key}. {reason}".strip(),
            )
        _note(
            found,
            PromptAction.EXPERIMENT_PROMOTED,
            actor,
            reason,
            {
                "from_version": before.number if before else None,
                "to_version": version.number if version else None,
            },
            arm=arm.name,
        )
    return found


def figures_since(experiment: Experiment) -> datetime | None:
    """The start of its figures: the last change of weights, or the start."""
    changed = (
        PromptEvent.objects.filter(
            prompt_id=experiment.prompt_id,
            action=PromptAction.EXPERIMENT_CHANGED,
            details__experiment=experiment.key,
        )
        .values_list("at", flat=True)
        .first()
    )
    return changed or experiment.started_at


def _locked(
    experiment: Experiment, *states: ExperimentState
) -> tuple[Prompt, Experiment]:
    """Lock the prompt and the experiment. Raises Conflict."""
    prompt = lock(experiment.prompt)
    found = Experiment.objects.select_for_update().get(pk=experiment.pk)
    if found.state not in states:
        text = f"The experiment '{found.key}' is {found.get_state_display().lower()}."
        raise Conflict(text)
    return prompt, found


def _mark_stopped(found: Experiment, reason: str) -> None:
    found.state = ExperimentState.STOPPED
    found.stopped_at = timezone.now()
    found.reason = reason
    found.save()


def _spec(arm: Arm) -> ArmSpec:
    number = arm.version.number if arm.version else None
    return ArmSpec(arm.name, arm.weight, number, arm.model, arm.control)


def _production(prompt: Prompt) -> PromptVersion | None:
    return PromptVersion.objects.filter(
        prompt=prompt, labels__name=PRODUCTION, labels__prompt=prompt
    ).first()


def _version_of(
    arm: Arm,
    production: PromptVersion | None,
    *,
    actor: PromptActor,
    experiment: Experiment,
) -> PromptVersion | None:
    """The version with the arm's settings, created if needed; None without any."""
    version: PromptVersion | None = arm.version or production
    if version is None or arm.model in ("", version.model):
        return version
    try:
        return add_version(
            version.prompt,
            template=version.template,
            messages=version.messages,
            variables=version.variables,
            model=arm.model,
            parameters=version.parameters,
            actor=actor,
            note=f"Version {version.number} with the model {arm.model}, the winner of "
            f"the experiment {experiment.key}.",
            tags=version.tags,
        )
    except ValidationError as error:
        if getattr(error, "code", "") != "unchanged":
            raise
        # It exists already, as the newest version.
        return version.prompt.versions.first()


def _note(
    experiment: Experiment,
    action: PromptAction,
    actor: PromptActor,
    reason: str,
    versions: Mapping[str, int | None] = MappingProxyType({}),
    **details: Any,
) -> None:
    """Add a row to the audit; `versions` are its columns of versions."""
    details = {"experiment": experiment.key, **details}
    record(experiment.prompt, action, actor, reason=reason, details=details, **versions)
