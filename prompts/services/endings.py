"""Ends a gradual rollout: finished, or rolled back. Every change is in the audit."""

from typing import Any

from django.utils import timezone

from prompts.models import Rollout
from prompts.models.event import PromptAction
from prompts.models.rollout import RolloutState
from prompts.services.actor import PromptActor
from prompts.services.audit import record


def note(
    rollout: Rollout,
    action: PromptAction,
    actor: PromptActor,
    reason: str,
    **details: Any,
) -> None:
    """Add a row to the audit with the rollout's version and share."""
    record(
        rollout.prompt,
        action,
        actor,
        to_version=rollout.version.number,
        reason=reason,
        details={"rollout": rollout.pk, "share": rollout.share, **details},
    )


def end(rollout: Rollout, *, finished: bool, actor: PromptActor, reason: str) -> None:
    """End the rollout with an audit row; the caller moves the label."""
    state, action = RolloutState.ROLLED_BACK, PromptAction.ROLLOUT_ROLLED_BACK
    if finished:
        state, action = RolloutState.FINISHED, PromptAction.ROLLOUT_FINISHED
    close(rollout, state, reason)
    note(rollout, action, actor, reason)


def close(rollout: Rollout, state: RolloutState, reason: str) -> None:
    rollout.state = state
    rollout.reason = reason
    rollout.ended_at = timezone.now()
    rollout.next_at = None
    rollout.save()
