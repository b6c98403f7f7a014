"""Gradual rollouts: start, change the share, pause, resume, finish, roll back.

    running <-> paused
       |          |
       +----------+--> finished, at 100 %: the label moves
       +----------+--> rolled_back, by a person, a guard, or a move of the label

A guard needs `roll_back_rollout(rollout, actor=GATEWAY, reason=...)` and no more.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from prompts.models import Label, Prompt, PromptVersion, Rollout
from prompts.models.event import PromptAction
from prompts.models.rollout import LIVE, RolloutState
from prompts.rendering.label_names import PRODUCTION
from prompts.services import composition, plan
from prompts.services.actor import GATEWAY, PromptActor, require_move
from prompts.services.audit import lock
from prompts.services.endings import close, end, note
from prompts.services.label import point, version_of
from prompts.services.prompt import refuse_second_split
from valuecanvas.core.errors import Conflict, GatewayError
from valuecanvas.core.targeting.bucketing import BUCKETS

log = structlog.get_logger("prompts.rollout")


def start_rollout(
    prompt: Prompt,
    version: PromptVersion | int,
    *,
    share: int,
    actor: PromptActor,
    reason: str = "",
    steps: Sequence[Mapping[str, int]] = (),
    guards: Sequence[Mapping[str, Any]] = (),
) -> Rollout:
    """Start a rollout to `share` of the users, in hundredths of a percent, 1 to 9,999.

    `steps` follow automatically: {"share", "after_minutes"}, each after the one before.
    Raises Conflict if a rollout or an experiment is under way, NotPermitted,
    ValidationError by field.
    """
    require_move(actor, PRODUCTION)
    if not 1 <= share < BUCKETS:
        raise ValidationError({"share": "A rollout starts at 0.01 % to 99.99 %."})
    planned = plan.check_steps(steps, share)
    checked_guards = plan.check_guards(guards)
    with transaction.atomic():
        found = lock(prompt)
        new = version_of(found, version)
        _refuse_start(found, new)
        composition.check_use(found, new.number)
        rollout = Rollout.objects.create(
            prompt=found,
            version=new,
            share=share,
            steps=planned,
            next_at=_due(planned),
            guards=checked_guards,
            started_by=actor.user,
            reason=reason,
        )
        note(rollout, PromptAction.ROLLOUT_STARTED, actor, reason, steps=planned)
    return rollout


def set_share(
    rollout: Rollout,
    share: int,
    *,
    actor: PromptActor,
    reason: str = "",
    expected: int | None = None,
) -> Rollout:
    """Change the share; 100 % finishes the rollout.

    Users keep the version while the share grows. Planned steps up to the new share are
    dropped. With `expected`, only if the share is that now.
    Raises Conflict, NotPermitted, ValidationError.
    """
    require_move(actor, PRODUCTION)
    if not 1 <= share <= BUCKETS:
        raise ValidationError({"share": "A share is 0.01 % to 100 %."})
    with transaction.atomic():
        found = _live(rollout)
        if expected is not None and found.share != expected:
            raise Conflict(
                f"The share is {found.share / 100:g} % now.",
                code="rollout_conflict",
                extra={"current_share": found.share},
            )
        if share == BUCKETS:
            return _finish(found, actor, reason)
        left = [step for step in found.steps if step["share"] > share]
        return _set_share(found, share, left, actor, reason)


def pause(rollout: Rollout, *, actor: PromptActor, reason: str = "") -> Rollout:
    """Pause the rollout: its share stays. Raises Conflict, NotPermitted."""
    require_move(actor, PRODUCTION)
    with transaction.atomic():
        found = _live(rollout, RolloutState.RUNNING)
        found.state, found.next_at = RolloutState.PAUSED, None
        found.save()
        note(found, PromptAction.ROLLOUT_PAUSED, actor, reason)
    return found


def resume(rollout: Rollout, *, actor: PromptActor, reason: str = "") -> Rollout:
    """Resume the plan; the next step waits its whole time. Raises as pause."""
    require_move(actor, PRODUCTION)
    with transaction.atomic():
        found = _live(rollout, RolloutState.PAUSED)
        found.state, found.next_at = RolloutState.RUNNING, _due(found.steps)
        found.save()
        note(found, PromptAction.ROLLOUT_RESUMED, actor, reason)
    return found


def finish(rollout: Rollout, *, actor: PromptActor, reason: str = "") -> Rollout:
    """Finish the rollout: `production` moves. Raises Conflict, NotPermitted."""
    require_move(actor, PRODUCTION)
    with transaction.atomic():
        return _finish(_live(rollout), actor, reason)


def roll_back_rollout(rollout: Rollout, *, actor: PromptActor, reason: str) -> Rollout:
    """Roll back: everybody gets the version of `production`. Raises as pause."""
    require_move(actor, PRODUCTION)
    with transaction.atomic():
        found = _live(rollout)
        end(found, finished=False, actor=actor, reason=reason)
    return found


def apply_due_steps(now: datetime | None = None) -> int:
    """Apply due steps, one of each rollout; the number of applied steps."""
    at = now or timezone.now()
    due = Rollout.objects.filter(state=RolloutState.RUNNING, next_at__lte=at)
    return sum(_apply_step(rollout, at) for rollout in due.order_by("next_at"))


def _apply_step(rollout: Rollout, now: datetime) -> bool:
    try:
        with transaction.atomic():
            found = _live(rollout, RolloutState.RUNNING)
            # Another process may have applied it.
            if found.next_at is None or found.next_at > now or not found.steps:
                return False
            step, *left = found.steps
            if step["share"] >= BUCKETS:
                _finish(found, GATEWAY, "The last step of its plan.")
            else:
                _set_share(found, step["share"], left, GATEWAY, "As planned.")
    except (GatewayError, ValidationError) as error:
        # It stays due and is tried again; other rollouts must not wait for it.
        log.warning("rollout.step_refused", rollout=rollout.pk, error=str(error))
        return False
    return True


def _refuse_start(prompt: Prompt, version: PromptVersion) -> None:
    refuse_second_split(prompt)
    production = Label.objects.filter(prompt=prompt, name=PRODUCTION).first()
    if production is None:
        text = "Nothing is in production yet: publish a version first."
        raise ValidationError({"version": text})
    if production.version_id == version.pk:
        text = f"Version {version.number} is in production already."
        raise ValidationError({"version": text})


def _live(rollout: Rollout, *states: RolloutState) -> Rollout:
    """Lock the prompt; the current rollout. Raises Conflict."""
    lock(rollout.prompt)
    found = Rollout.objects.select_related("prompt", "version").get(pk=rollout.pk)
    if found.state not in (states or LIVE):
        raise Conflict(
            f"This rollout is {found.get_state_display().lower()}.",
            code="rollout_conflict",
            extra={"state": found.state},
        )
    return found


def _finish(rollout: Rollout, actor: PromptActor, reason: str) -> Rollout:
    label = rollout.prompt.labels.select_related("version").get(name=PRODUCTION)
    rollout.share, rollout.steps = BUCKETS, []
    close(rollout, RolloutState.FINISHED, reason)
    prompt, version = rollout.prompt, rollout.version
    finished = PromptAction.ROLLOUT_FINISHED
    point(prompt, PRODUCTION, label, version, finished, actor, reason)
    return rollout


def _set_share(
    rollout: Rollout,
    share: int,
    left: list[dict[str, int]],
    actor: PromptActor,
    reason: str,
) -> Rollout:
    before = rollout.share
    rollout.share, rollout.steps = share, left
    rollout.next_at = _due(left) if rollout.state == RolloutState.RUNNING else None
    rollout.save()
    note(rollout, PromptAction.ROLLOUT_SHARE, actor, reason, before=before)
    return rollout


def _due(steps: Sequence[Mapping[str, int]]) -> datetime | None:
    """When the first step is due, counted from now."""
    if not steps:
        return None
    return timezone.now() + timedelta(minutes=steps[0]["after_minutes"])
