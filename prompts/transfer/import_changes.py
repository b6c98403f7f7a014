"""The changes of an import: files compared with the database."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from prompts.models import Prompt
from prompts.transfer.export import load_prompt_files
from prompts.transfer.prompt_files import PromptFile, VersionFile

FIELDS = (
    "folder", "description", "tags", "archived", "cache_policy", "cache_scope",
)  # fmt: skip


@dataclass(frozen=True)
class ImportChanges:
    """The changes of one prompt. `before` None: it is new."""

    wanted: PromptFile
    before: PromptFile | None
    details: Mapping[str, Any] = field(default_factory=dict)
    versions: Sequence[VersionFile] = ()
    labels: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.before is None or self.details or self.versions or self.labels)

    def lines(self) -> Iterator[str]:
        """A line of text for each change."""
        key = self.wanted.key
        if self.before is None:
            yield f"{key}: new"
        for name in self.details:
            yield f"{key}: {name} changed"
        for version in self.versions:
            yield f"{key}: version {version.number}"
        for name, number in self.labels.items():
            at = self.before.labels.get(name) if self.before else None
            yield f"{key}: {name} {at or 'nowhere'} -> {number}"


def compare(files: Sequence[PromptFile]) -> list[ImportChanges]:
    """The changes of each file against the database. Raises ValidationError."""
    known = {one.key: one for one in load_prompt_files([file.key for file in files])}
    names = {file.owner for file in files if file.owner}
    people = User.objects.filter(username__in=names)
    users = set(people.values_list("username", flat=True))
    return [_compare_prompt(file, known.get(file.key), users) for file in files]


def _compare_prompt(
    wanted: PromptFile, before: PromptFile | None, users: set[str]
) -> ImportChanges:
    old = before or PromptFile(wanted.key, wanted.kind)
    if old.kind != wanted.kind:
        raise ValidationError(
            f"'{wanted.key}' is of the kind '{old.kind}' in the database."
        )
    _refuse_other_words(wanted, old)
    details = {
        name: getattr(wanted, name)
        for name in FIELDS
        if getattr(wanted, name) != getattr(old, name)
    }
    # An owner without an account here is ignored.
    if wanted.owner in users and wanted.owner != old.owner:
        details["owner"] = wanted.owner
    return ImportChanges(
        wanted,
        before,
        details,
        [one for number, one in wanted.versions.items() if number not in old.versions],
        {
            name: number
            for name, number in wanted.labels.items()
            if old.labels.get(name) != number
        },
    )


def _refuse_other_words(wanted: PromptFile, old: PromptFile) -> None:
    for number, version in wanted.versions.items():
        known = old.versions.get(number)
        if known is not None and known.words.digest != version.words.digest:
            raise ValidationError(
                f"Version {number} of '{wanted.key}' differs from the "
                "database, where it can't be changed: give the file the next number."
            )


def lock_rows(keys: Sequence[str]) -> dict[str, Prompt]:
    """Lock the prompts until the transaction ends, always in the same order."""
    rows = Prompt.objects.select_for_update(no_key=True).filter(key__in=keys)
    return {row.key: row for row in rows.order_by("pk")}
