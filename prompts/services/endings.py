"""Ends a gradual rollout: finished, or rolled back."""

from django.utils import timezone

from prompts.models import Rollout
from prompts.models.event import PromptAction
from prompts.models.rollout import RolloutState
from prompts.services.actor import PromptActor
from prompts.services.audit import record


def end(rollout: Rollout, *, finished: bool, actor: PromptActor, reason: str) -> None:
    """End the rollout with an audit row; the caller moves the label."""
    state = RolloutState.FINISHED if finished else RolloutState.ROLLED_BACK
    action = (
        PromptAction.ROLLOUT_FINISHED if finished else PromptAction.ROLLOUT_ROLLED_BACK
    )
    close(rollout, state, reason)
    record(
        rollout.prompt,
        action,
        actor,
        to_version=rollout.version.number,
        reason=reason,
        details={"rollout": rollout.pk, "share": rollout.share},
    )


def close(rollout: Rollout, state: RolloutState, reason: str) -> None:
    rollout.state = state
    rollout.reason = reason
    rollout.ended_at = timezone.now()
    rollout.next_at = None
    rollout.save()
