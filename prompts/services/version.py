"""New versions of prompts."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from prompts.models import Prompt, PromptVersion
from prompts.models.event import PromptAction
from prompts.services import composition, words
from prompts.services.actor import PromptActor
from prompts.services.audit import lock, record
from valuecanvas.core.errors import Conflict

MOST_TAGS = 50
LONGEST_NOTE = 10_000


def add_version(
    prompt: Prompt,
    *,
    actor: PromptActor,
    template: str = "",
    messages: Sequence[Mapping[str, Any]] = (),
    variables: Sequence[str | Mapping[str, Any]] = (),
    model: str = "",
    parameters: Mapping[str, Any] | None = None,
    note: str = "",
    tags: Sequence[str] = (),
    based_on: int | None = None,
) -> PromptVersion:
    """Save the next version; no label moves to it.

    With `based_on`, the version that was edited, it raises Conflict if there is a newer
    one, which says whose. Raises ValidationError by field.
    """
    checked = words.check_words(
        prompt.kind,
        template=template,
        messages=messages,
        declared=variables,
        model=model,
        parameters=parameters or {},
    )
    check_remarks(note, tags)
    with transaction.atomic():
        found = lock(prompt)
        newest = found.versions.order_by("-number").first()
        _refuse_late(found, newest, based_on)
        _refuse_same(newest, checked)
        number = newest.number + 1 if newest else 1
        composition.check_version(found, checked.facts(number))
        made = PromptVersion.objects.create(
            prompt=found,
            number=number,
            digest=checked.digest,
            **checked.columns,
            author=actor.user,
            author_name=actor.name[:200],
            note=note,
            tags=list(tags),
        )
        record(
            found,
            PromptAction.VERSION,
            actor,
            from_version=based_on,
            to_version=number,
            reason=note,
        )
    return made


def check_remarks(note: str, tags: Sequence[str]) -> None:
    """Check the note and the tags. Raises ValidationError by field."""
    if not isinstance(note, str) or len(note) > LONGEST_NOTE:
        raise ValidationError({"note": f"At most {LONGEST_NOTE:,} characters."})
    if len(tags) > MOST_TAGS or not all(_is_tag(tag) for tag in tags):
        text = f"At most {MOST_TAGS} tags of at most 40 characters."
        raise ValidationError({"tags": text})
    words.check_storable("note", note)
    words.check_storable("tags", list(tags))


def _is_tag(tag: object) -> bool:
    return isinstance(tag, str) and 0 < len(tag) <= 40


def _refuse_late(
    prompt: Prompt, newest: PromptVersion | None, based_on: int | None
) -> None:
    last = newest.number if newest else 0
    if based_on is not None and based_on > last:
        raise ValidationError({"based_on": f"There is no version {based_on} yet."})
    if based_on is None or newest is None or newest.number == based_on:
        return
    rows = prompt.versions.filter(number__gt=based_on).order_by("number")
    since = [
        {
            "version": number,
            "author": author,
            "created_at": at.isoformat(),
            "note": note,
        }
        for number, author, at, note in rows.values_list(
            "number", "author_name", "created_at", "note"
        )
    ]
    saved = ", ".join(
        f"{one['author']} saved version {one['version']}" for one in since
    )
    raise Conflict(
        f"Since version {based_on}, {saved}.",
        code="version_conflict",
        extra={"newest": newest.number, "since": since},
    )


def _refuse_same(newest: PromptVersion | None, checked: words.PromptTexts) -> None:
    if newest is not None and newest.digest == checked.digest:
        raise ValidationError(
            f"Nothing has changed: version {newest.number} is identical.",
            code="unchanged",
        )
