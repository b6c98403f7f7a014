"""Imports files of prompts: adds what is missing in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from prompts.models import Label, Prompt, PromptEvent, PromptVersion
from prompts.models.event import PromptAction
from prompts.models.label import NAME
from prompts.rendering.label_names import LATEST
from prompts.services import PromptActor, composition
from prompts.services.label import point
from prompts.services.version import columns
from prompts.transfer.import_changes import ImportChanges, Refusal, compare, lock_rows
from prompts.transfer.prompt_files import PromptFile
from valuecanvas.core.transfer.commands import REASON


@dataclass(frozen=True, slots=True)
class Audit:
    """Who imports, and why."""

    actor: PromptActor
    reason: str


def load(
    files: Sequence[PromptFile], *, actor: PromptActor, reason: str = REASON
) -> list[ImportChanges]:
    """Import the files, all or nothing; the changes that were made.

    Labels and prompts that are not in the files stay. Raises Refusal.
    """
    with transaction.atomic():
        rows = lock_rows([file.key for file in files])
        changes = [one for one in compare(files) if one]
        try:
            _write(changes, rows, Audit(actor, reason))
            composition.check_all(one.wanted.key for one in changes)
        except ValidationError as error:
            raise Refusal(" ".join(error.messages)) from None
        except IntegrityError:
            # Versions get numbers without a lock on each of thousands of prompts.
            raise Refusal(
                "Somebody else changed these prompts at the same time: nothing is "
                "imported. Run it again."
            ) from None
    return changes


def _write(
    changes: Sequence[ImportChanges], rows: dict[str, Prompt], audit: Audit
) -> None:
    users = _users(changes)
    _details(changes, rows, users, audit)
    versions = _versions(changes, rows, users, audit)
    _labels(changes, rows, versions, audit)


def _users(changes: Sequence[ImportChanges]) -> dict[str, User]:
    names = {one.details.get("owner", "") for one in changes}
    names |= {version.author for one in changes for version in one.versions}
    people = User.objects.filter(username__in=names)
    return {user.get_username(): user for user in people}


def _details(
    changes: Sequence[ImportChanges],
    rows: dict[str, Prompt],
    users: Mapping[str, User],
    audit: Audit,
) -> None:
    new: list[Prompt] = []
    for one in changes:
        row = rows.setdefault(one.wanted.key, Prompt(key=one.wanted.key))
        row.kind = one.wanted.kind
        for name, value in one.details.items():
            setattr(row, name, users[value] if name == "owner" else value)
        if one.before is None or one.details:
            _clean(row)
        if one.before is None:
            new.append(row)
        elif one.details:
            row.save()
    Prompt.objects.bulk_create(new)
    PromptEvent.objects.bulk_create(
        _event(
            rows[one.wanted.key],
            PromptAction.CREATED if one.before is None else PromptAction.EDITED,
            audit,
            details={"changed": sorted(one.details)},
        )
        for one in changes
        if one.before is None or one.details
    )


def _clean(row: Prompt) -> None:
    try:
        row.full_clean()
    except ValidationError as error:
        errors = "; ".join(f"{f}: {' '.join(m)}" for f, m in error.message_dict.items())
        raise Refusal(f"'{row.key}': {errors}") from None


def _versions(
    changes: Sequence[ImportChanges],
    rows: Mapping[str, Prompt],
    users: Mapping[str, User],
    audit: Audit,
) -> dict[tuple[str, int], PromptVersion]:
    """Create all versions at once: thousands of bumps of the epoch would be slow."""
    made = [
        PromptVersion(
            **columns(rows[one.wanted.key], version.number, version.words),
            author=users.get(version.author),
            author_name=version.author or audit.actor.name[:200],
            note=version.note,
            tags=version.tags,
            created_at=version.created_at or timezone.now(),
        )
        for one in changes
        for version in one.versions
    ]
    PromptVersion.objects.bulk_create(made, batch_size=1000)
    PromptEvent.objects.bulk_create(
        (
            _event(row.prompt, PromptAction.VERSION, audit, to_version=row.number)
            for row in made
        ),
        batch_size=1000,
    )
    return {(row.prompt.key, row.number): row for row in made}


def _labels(
    changes: Sequence[ImportChanges],
    rows: Mapping[str, Prompt],
    made: Mapping[tuple[str, int], PromptVersion],
    audit: Audit,
) -> None:
    new, events = [], []
    for one in changes:
        row = rows[one.wanted.key]
        old = {label.name: label for label in row.labels.select_related("version")}
        for name, number in one.labels.items():
            version = made.get((row.key, number)) or row.versions.get(number=number)
            if name in old:
                # One at a time: a move of `production` ends a rollout.
                point(
                    row, name, old[name], version,
                    action=PromptAction.MOVED, actor=audit.actor, reason=audit.reason, check=False,
                )  # fmt: skip
                continue
            _check_name(name)
            new.append(Label(prompt=row, name=name, version=version))
            events.append(
                _event(row, PromptAction.MOVED, audit, label=name, to_version=number)
            )
    Label.objects.bulk_create(new)
    PromptEvent.objects.bulk_create(events)


def _check_name(name: str) -> None:
    NAME(name)
    if name == LATEST or len(name) > 40:
        raise ValidationError(f"'{name[:60]}' can't be a label of a version.")


def _event(
    prompt: Prompt,
    action: PromptAction,
    audit: Audit,
    *,
    label: str = "",
    to_version: int | None = None,
    details: dict[str, list[str]] | None = None,
) -> PromptEvent:
    return PromptEvent(
        prompt=prompt,
        actor=audit.actor.user,
        actor_name=audit.actor.name[:200],
        action=action,
        label=label,
        to_version=to_version,
        reason=audit.reason,
        details=details or {},
    )
