"""The files of a prompt: writing, reading and checking them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_datetime

from prompts.services import words
from prompts.services.version import check_remarks
from prompts.services.words import PromptTexts
from valuecanvas.core.transfer import yaml_io
from valuecanvas.core.transfer.commands import field_errors

PROMPT = "prompt.yaml"
_VERSION = re.compile(r"v(\d{1,9})\.yaml\Z")
# The fields that the files may have, and the kinds of their values.
_PROMPT_FIELDS = {
    "key": str, "kind": str, "folder": str, "description": str, "owner": str,
    "tags": list, "archived": bool, "cache_policy": str, "cache_scope": str,
    "labels": dict,
}  # fmt: skip
_VERSION_FIELDS = {
    "template": object, "messages": object, "variables": object, "model": object,
    "parameters": object, "note": str, "tags": list, "author": str,
    "created_at": object,
}  # fmt: skip


@dataclass(frozen=True)
class VersionFile:
    number: int
    words: PromptTexts
    note: str
    tags: list[str]
    author: str
    created_at: datetime | None


@dataclass(frozen=True)
class PromptFile:
    """The files of a prompt. `owner` is a user name; `labels` have version numbers."""

    key: str
    kind: str = "text"
    folder: str = ""
    description: str = ""
    owner: str = ""
    tags: list[str] = field(default_factory=list)
    archived: bool = False
    cache_policy: str = "auto"
    cache_scope: str = ""
    labels: dict[str, int] = field(default_factory=dict)
    versions: dict[int, VersionFile] = field(default_factory=dict)


def texts(prompt: PromptFile) -> Iterator[tuple[str, str]]:
    """The name and the text of each file."""
    about = {name: getattr(prompt, name) for name in _PROMPT_FIELDS}
    about["labels"] = dict(sorted(prompt.labels.items()))
    yield PROMPT, yaml_io.dump(_ordered(about))
    for number, version in sorted(prompt.versions.items()):
        yield f"v{number:04}.yaml", yaml_io.dump(_ordered(_row(version)))


def read_prompt_files(folder: Path) -> list[PromptFile]:
    """Read every prompt below `folder`, by key. Raises ValidationError, OSError."""
    found: dict[str, PromptFile] = {}
    for path in sorted(folder.rglob(PROMPT)):
        prompt = _prompt(path)
        if prompt.key in found:
            raise ValidationError(f"{path}: there are two prompts '{prompt.key}'.")
        found[prompt.key] = prompt
    if not found:
        raise ValidationError(f"{folder}: there is no {PROMPT} in it.")
    return [found[key] for key in sorted(found)]


def _row(version: VersionFile) -> dict[str, Any]:
    """The fields that are not empty, the text first."""
    row = {
        **version.words.columns,
        "note": version.note,
        "tags": version.tags,
        "author": version.author,
        "created_at": version.created_at and version.created_at.isoformat(),
    }
    return {name: value for name, value in row.items() if value}


def _ordered(value: Any, *, outermost: bool = True) -> Any:
    """Sort nested objects by name: the database does not keep their order."""
    if isinstance(value, Mapping):
        names = value if outermost else sorted(value, key=_first)
        return {name: _ordered(value[name], outermost=False) for name in names}
    if isinstance(value, list):
        return [_ordered(one, outermost=False) for one in value]
    return value


def _first(name: str) -> tuple[bool, str]:
    return name not in ("name", "role"), name


def _prompt(path: Path) -> PromptFile:
    row = _read_fields(path, _PROMPT_FIELDS)
    if "key" not in row:
        raise ValidationError(f"{path}: 'key' is missing.")
    prompt = PromptFile(**row)
    for beside in sorted(path.parent.iterdir()):
        if match := _VERSION.match(beside.name):
            number = int(match[1])
            if number < 1 or number in prompt.versions:
                raise ValidationError(
                    f"{beside}: another file has this number, or it is 0."
                )
            prompt.versions[number] = _version(beside, number, prompt.kind)
    for name, number in prompt.labels.items():
        # A bool is an int, and a list has no hash.
        known = type(number) is int and number in prompt.versions
        if not isinstance(name, str) or not known:
            raise ValidationError(
                f"{path}: the label '{name}' has no version {number} here."
            )
    return prompt


def _version(path: Path, number: int, kind: str) -> VersionFile:
    row = _read_fields(path, _VERSION_FIELDS)
    note, tags = row.get("note", ""), row.get("tags", [])
    try:
        checked = words.check_words(
            kind,
            template=row.get("template", ""),
            messages=row.get("messages", []),
            declared=row.get("variables", []),
            model=row.get("model", ""),
            parameters=row.get("parameters", {}),
        )
        check_remarks(note, tags)
    except ValidationError as error:
        raise ValidationError(f"{path}: {field_errors(error)}") from None
    return VersionFile(
        number, checked, note, tags, row.get("author", ""), _time(path, row)
    )


def _read_fields(path: Path, kinds: Mapping[str, type]) -> dict[str, Any]:
    row = yaml_io.read_file(path)
    if not isinstance(row, dict):
        raise ValidationError(f"{path}: it has no fields.")
    for name, value in row.items():
        if name not in kinds:
            raise ValidationError(f"{path}: unknown field '{name}'.")
        if not isinstance(value, kinds[name]):
            raise ValidationError(f"{path}: '{name}' is not of the right kind.")
    return row


def _time(path: Path, row: Mapping[str, Any]) -> datetime | None:
    value = row.get("created_at")
    try:
        found = parse_datetime(value) if isinstance(value, str) else value
    except ValueError:
        found = value
    if found is None and value is None:
        return None
    if not isinstance(found, datetime):
        raise ValidationError(f"{path}: 'created_at' is not a time.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
