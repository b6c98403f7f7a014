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


def event(
    prompt: Prompt, action: PromptAction, actor: PromptActor, **fields: Any
) -> PromptEvent:
    """A row of the audit that is not saved yet; `fields` are further columns of it."""
    return PromptEvent(
        prompt=prompt,
        actor=actor.user,
        actor_name=actor.name[:200],
        action=action,
        **fields,
    )


def record(
    prompt: Prompt, action: PromptAction, actor: PromptActor, **fields: Any
) -> PromptEvent:
    """Add a row to the audit; `fields` are further columns of it."""
    row = event(prompt, action, actor, **fields)
    row.save(force_insert=True)
    return row
