"""Create prompts, edit their details, archive and restore them."""

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from prompts.models import Experiment, Prompt, Rollout
from prompts.models.event import PromptAction
from prompts.models.experiment import ExperimentState
from prompts.models.prompt import CacheScope
from prompts.models.rollout import LIVE
from prompts.services import composition
from prompts.services.actor import PromptActor, require_move, require_share
from prompts.services.audit import lock, record
from valuecanvas.core.errors import Conflict


class PromptDetails(TypedDict, total=False):
    """The details of a prompt that may change."""

    folder: str
    description: str
    owner: User | None
    tags: Sequence[str]
    archived: bool
    cache_policy: str
    cache_scope: str


def create_prompt(
    *,
    key: str,
    actor: PromptActor,
    kind: str = "text",
    reason: str = "",
    **details: Unpack[PromptDetails],
) -> Prompt:
    """Create a prompt without versions. Raises ValidationError by field."""
    prompt = Prompt(key=key, kind=kind, **_stored(details))
    prompt.full_clean()
    require_share(actor, CacheScope.MODEL, prompt.cache_scope)
    try:
        with transaction.atomic():
            prompt.save(force_insert=True)
            record(prompt, PromptAction.CREATED, actor, reason=reason)
    except IntegrityError:
        # Another one was created between the check and the insert.
        raise ValidationError({"key": f"There is a prompt '{key}' already."}) from None
    return prompt


def edit_prompt(
    prompt: Prompt,
    *,
    actor: PromptActor,
    reason: str = "",
    **details: Unpack[PromptDetails],
) -> Prompt:
    """Edit details of the prompt; without a change there is no audit row.

    Raises ValidationError by field; for `archived` if other prompts include it, and
    NotPermitted if one of its labels is protected: archiving affects all of them.
    """
    with transaction.atomic():
        found = lock(prompt)
        changes = {
            name: (getattr(found, name), value)
            for name, value in _stored(details).items()
            if getattr(found, name) != value
        }
        if not changes:
            return found
        for name, (_, value) in changes.items():
            setattr(found, name, value)
        found.full_clean()
        if "cache_scope" in changes:
            require_share(actor, *map(str, changes["cache_scope"]))
        if "archived" in changes:
            for label in found.labels.values_list("name", flat=True):
                require_move(actor, label)
            if found.archived:
                composition.check_archive(found)
        found.save(update_fields=list(changes))
        diff = {name: [_plain(a), _plain(b)] for name, (a, b) in changes.items()}
        record(
            found, PromptAction.EDITED, actor, reason=reason, details={"changed": diff}
        )
    return found


def refuse_second_split(prompt: Prompt) -> None:
    """Check that nothing else splits the prompt's callers. Raises Conflict.

    The effects of two experiments or rollouts could not be told apart.
    """
    if prompt.archived:
        raise Conflict(f"The prompt '{prompt.key}' is archived.")
    if Rollout.objects.filter(prompt=prompt, state__in=LIVE).exists():
        raise Conflict("A gradual rollout of this prompt is under way: end it first.")
    running = Experiment.objects.filter(prompt=prompt, state=ExperimentState.RUNNING)
    if key := running.values_list("key", flat=True).first():
        raise Conflict(f"The experiment '{key}' is running on this prompt.")


def _stored(details: PromptDetails) -> dict[str, Any]:
    """The details as the row has them: its tags are a list."""
    tags = {"tags": list(details["tags"])} if "tags" in details else {}
    return {**details, **tags}


def _plain(value: object) -> Any:
    return value if isinstance(value, bool | list) else str(value or "")
