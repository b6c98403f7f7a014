"""The audit of prompts: every change locks the prompt and adds a row."""

from typing import Any

from prompts.models import Prompt, PromptEvent
from prompts.models.event import PromptAction
from prompts.services.actor import PromptActor


def lock(prompt: Prompt) -> Prompt:
    """Lock the row of the prompt until the transaction ends; the current prompt.

    Every change of a prompt starts with this. Other locks come later: composition, then
    the epoch.
    """
    return Prompt.objects.select_for_update(no_key=True).get(pk=prompt.pk)


def record(
    prompt: Prompt,
    action: PromptAction,
    actor: PromptActor,
    *,
    label: str = "",
    from_version: int | None = None,
    to_version: int | None = None,
    reason: str = "",
    details: dict[str, Any] | None = None,
) -> PromptEvent:
    return PromptEvent.objects.create(
        prompt=prompt,
        actor=actor.user,
        actor_name=actor.name[:200],
        action=action,
        label=label,
        from_version=from_version,
        to_version=to_version,
        reason=reason,
        details=details or {},
    )
