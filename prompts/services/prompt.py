"""Create prompts, edit their details, archive and restore them."""

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
    """The value of a field that does not change."""

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
    """Create a prompt without versions. Raises ValidationError by field."""
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
        # Another one was created between the check and the insert.
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
    """Edit details of the prompt; without a change there is no audit row.

    Raises ValidationError by field; for `archived` if other prompts include it, and
    NotPermitted if one of its labels is protected: archiving affects all of them.
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
        diff = {name: [_plain(a), _plain(b)] for name, (a, b) in changes.items()}
        record(
            found, PromptAction.EDITED, actor, reason=reason, details={"changed": diff}
        )
    return found


def _plain(value: object) -> Any:
    return value if isinstance(value, bool | list) else str(value or "")
