"""Imports files of prompts: adds what is missing in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from prompts.models import Label, Prompt, PromptEvent, PromptVersion
from prompts.models.event import PromptAction
from prompts.services import PromptActor, audit, composition
from prompts.services.label import check_name, point
from prompts.transfer.import_changes import ImportChanges, compare, lock_rows
from prompts.transfer.prompt_files import PromptFile
from valuecanvas.core.transfer.commands import REASON, field_errors


def load(
    files: Sequence[PromptFile], *, actor: PromptActor, reason: str = REASON
) -> list[ImportChanges]:
    """Import the files, all or nothing; the changes that were made.

    Labels and prompts that are not in the files stay. Raises ValidationError.
    """
    with transaction.atomic():
        rows = lock_rows([file.key for file in files])
        changes = [one for one in compare(files) if one]
        try:
            _Import(changes, rows, _users(changes), actor, reason).write()
            composition.check_all(one.wanted.key for one in changes)
        except IntegrityError:
            # Versions get numbers without a lock on each of thousands of prompts.
            raise ValidationError(
                "Somebody else changed these prompts at the same time: nothing is "
                "imported. Run it again."
            ) from None
    return changes


def _users(changes: Sequence[ImportChanges]) -> dict[str, User]:
    names = {one.details.get("owner", "") for one in changes}
    names |= {version.author for one in changes for version in one.versions}
    people = User.objects.filter(username__in=names)
    return {user.get_username(): user for user in people}


@dataclass(frozen=True, slots=True)
class _Import:
    """Writes the changes. `rows` are the prompts by key, `users` the people by name."""

    changes: Sequence[ImportChanges]
    rows: dict[str, Prompt]
    users: Mapping[str, User]
    actor: PromptActor
    reason: str

    def write(self) -> None:
        self._details()
        self._labels(self._versions())

    def _details(self) -> None:
        new, events = [], []
        for one in self.changes:
            row = self.rows.setdefault(one.wanted.key, Prompt(key=one.wanted.key))
            row.kind = one.wanted.kind
            for name, value in one.details.items():
                setattr(row, name, self.users[value] if name == "owner" else value)
            if one.before is not None and not one.details:
                continue
            _clean(row)
            action = PromptAction.EDITED
            if one.before is None:
                action = PromptAction.CREATED
                new.append(row)
            else:
                row.save()
            changed = {"changed": sorted(one.details)}
            events.append(self._event(row, action, details=changed))
        Prompt.objects.bulk_create(new)
        PromptEvent.objects.bulk_create(events)

    def _versions(self) -> dict[tuple[str, int], PromptVersion]:
        """Create all versions at once: thousands of bumps of the epoch would be slow."""
        made = [
            PromptVersion(
                prompt=self.rows[one.wanted.key],
                number=version.number,
                digest=version.words.digest,
                **version.words.columns,
                author=self.users.get(version.author),
                author_name=version.author or self.actor.name[:200],
                note=version.note,
                tags=version.tags,
                created_at=version.created_at or timezone.now(),
            )
            for one in self.changes
            for version in one.versions
        ]
        PromptVersion.objects.bulk_create(made, batch_size=1000)
        new = PromptAction.VERSION
        events = (self._event(row.prompt, new, to_version=row.number) for row in made)
        PromptEvent.objects.bulk_create(events, batch_size=1000)
        return {(row.prompt.key, row.number): row for row in made}

    def _labels(self, made: Mapping[tuple[str, int], PromptVersion]) -> None:
        new, events = [], []
        for one in self.changes:
            row = self.rows[one.wanted.key]
            old = {label.name: label for label in row.labels.select_related("version")}
            for name, number in one.labels.items():
                version = made.get((row.key, number)) or row.versions.get(number=number)
                if name in old:
                    # One at a time: a move of `production` ends a rollout.
                    point(
                        row, name, old[name], version,
                        PromptAction.MOVED, self.actor, self.reason, check=False,
                    )  # fmt: skip
                    continue
                check_name(name)
                new.append(Label(prompt=row, name=name, version=version))
                moved = self._event(
                    row, PromptAction.MOVED, label=name, to_version=number
                )
                events.append(moved)
        Label.objects.bulk_create(new)
        PromptEvent.objects.bulk_create(events)

    def _event(
        self, prompt: Prompt, action: PromptAction, **fields: Any
    ) -> PromptEvent:
        return audit.event(prompt, action, self.actor, reason=self.reason, **fields)


def _clean(row: Prompt) -> None:
    try:
        row.full_clean()
    except ValidationError as error:
        raise ValidationError(f"'{row.key}': {field_errors(error)}") from None
