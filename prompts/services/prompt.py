"""Prompts themselves: their key, where they are found, whether they are in use."""

import enum
from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from prompts.models import Prompt
from prompts.models.event import PromptAction
from prompts.models.prompt import CacheScope
from prompts.services import composition
from prompts.services.actor import PromptActor, require_move, require_share
from prompts.services.audit import lock, record
from valuecanvas.core.cache_policy import CachePolicy


class Unset(enum.Enum):
    """Of a field that is not to change."""

    KEEP = "keep"


KEEP = Unset.KEEP


def create_prompt(
    *,
    key: str,
    actor: PromptActor,
    kind: str = "text",
    folder: str = "",
    description: str = "",
    owner: User | None = None,
    tags: Sequence[str] = (),
    cache_policy: str = CachePolicy.AUTO.value,
    cache_scope: str = "",
    reason: str = "",
) -> Prompt:
    """A prompt without versions yet. Raises ValidationError by field."""
    prompt = Prompt(
        key=key,
        kind=kind,
        folder=folder,
        description=description,
        owner=owner,
        tags=list(tags),
        cache_policy=cache_policy,
        cache_scope=cache_scope,
    )
    prompt.full_clean()
    require_share(actor, CacheScope.MODEL, cache_scope)
    try:
        with transaction.atomic():
            prompt.save(force_insert=True)
            record(prompt, PromptAction.CREATED, actor, reason=reason)
    except IntegrityError:
        # Somebody else's came between the check and the write.
        raise ValidationError({"key": f"There is a prompt '{key}' already."}) from None
    return prompt


def edit_prompt(
    prompt: Prompt,
    *,
    actor: PromptActor,
    folder: str | Unset = KEEP,
    description: str | Unset = KEEP,
    owner: User | None | Unset = KEEP,
    tags: Sequence[str] | Unset = KEEP,
    archived: bool | Unset = KEEP,
    cache_policy: str | Unset = KEEP,
    cache_scope: str | Unset = KEEP,
    reason: str = "",
) -> Prompt:
    """The prompt with those fields changed; no row where nothing changes.

    Raises ValidationError by field; for `archived` where other prompts include it, and
    NotPermitted where a label of it is protected: they all go or come with it.
    """
    wanted = {
        "folder": folder,
        "description": description,
        "owner": owner,
        "tags": tags if isinstance(tags, Unset) else list(tags),
        "archived": archived,
        "cache_policy": cache_policy,
        "cache_scope": cache_scope,
    }
    with transaction.atomic():
        found = lock(prompt)
        changes = {
            name: (getattr(found, name), value)
            for name, value in wanted.items()
            if value is not KEEP and getattr(found, name) != value
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
        told = {name: [_told(a), _told(b)] for name, (a, b) in changes.items()}
        record(
            found, PromptAction.EDITED, actor, reason=reason, details={"changed": told}
        )
    return found


def _told(value: object) -> Any:
    return value if isinstance(value, bool | list) else str(value or "")
