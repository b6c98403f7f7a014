"""The files of a prompt: writing, reading and checking them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_datetime

from prompts.services import words
from prompts.services.version import check_remarks
from prompts.services.words import PromptTexts
from valuecanvas.core.transfer import yaml_loader

PROMPT = "prompt.yaml"
# YAML treats these as line breaks or drops them, unless they are escaped.
_FRAGILE = re.compile("[\x85\u2028\u2029\ufeff]")
_VERSION = re.compile(r"v(\d{1,9})\.yaml\Z")
_PROMPT_FIELDS = (
    "key", "kind", "folder", "description", "owner", "tags", "archived",
    "cache_policy", "cache_scope", "labels",
)  # fmt: skip
_VERSION_FIELDS = (
    "template", "messages", "variables", "model", "parameters", "note", "tags",
    "author", "created_at",
)  # fmt: skip


class BadFile(Exception):
    """A file is not valid; the message names it."""


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


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if _FRAGILE.search(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def texts(prompt: PromptFile) -> Iterator[tuple[str, str]]:
    """The name and the text of each file."""
    about = {name: getattr(prompt, name) for name in _PROMPT_FIELDS}
    about["labels"] = dict(sorted(prompt.labels.items()))
    yield PROMPT, _to_yaml(about)
    for number, version in sorted(prompt.versions.items()):
        yield f"v{number:04}.yaml", _to_yaml(_row(version))


def read_prompt_files(folder: Path) -> list[PromptFile]:
    """Read every prompt below `folder`, by key. Raises BadFile for the first error."""
    found: dict[str, PromptFile] = {}
    for path in sorted(folder.rglob(PROMPT)):
        prompt = _prompt(path)
        if prompt.key in found:
            raise BadFile(f"{path}: there are two prompts '{prompt.key}'.")
        found[prompt.key] = prompt
    if not found:
        raise BadFile(f"{folder}: there is no {PROMPT} in it.")
    return [found[key] for key in sorted(found)]


def _row(version: VersionFile) -> dict[str, Any]:
    """The fields that are not empty, the text first."""
    content = version.words
    row = {
        "template": content.template,
        "messages": content.messages,
        "variables": content.variables,
        "model": content.model,
        "parameters": content.parameters,
        "note": version.note,
        "tags": version.tags,
        "author": version.author,
        "created_at": version.created_at and version.created_at.isoformat(),
    }
    return {name: value for name, value in row.items() if value}


def _to_yaml(row: Mapping[str, Any]) -> str:
    text: str = yaml.dump(
        _ordered(row), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**20
    )
    return text


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
    key, kind = _get(path, row, "key", str), _get(path, row, "kind", str, "text")
    labels = _get(path, row, "labels", dict, {})
    versions = {}
    for beside in sorted(path.parent.iterdir()):
        if match := _VERSION.match(beside.name):
            number = int(match[1])
            if number < 1 or number in versions:
                raise BadFile(f"{beside}: another file has this number, or it is 0.")
            versions[number] = _version(beside, number, kind)
    for name, number in labels.items():
        if not isinstance(name, str) or number not in versions:
            raise BadFile(f"{path}: the label '{name}' has no version {number} here.")
    return PromptFile(
        key=key,
        kind=kind,
        folder=_get(path, row, "folder", str, ""),
        description=_get(path, row, "description", str, ""),
        owner=_get(path, row, "owner", str, ""),
        tags=_get(path, row, "tags", list, []),
        archived=_get(path, row, "archived", bool, False),
        cache_policy=_get(path, row, "cache_policy", str, "auto"),
        cache_scope=_get(path, row, "cache_scope", str, ""),
        labels=labels,
        versions=versions,
    )


def _version(path: Path, number: int, kind: str) -> VersionFile:
    row = _read_fields(path, _VERSION_FIELDS)
    note, tags = _get(path, row, "note", str, ""), _get(path, row, "tags", list, [])
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
        errors = "; ".join(f"{f}: {' '.join(m)}" for f, m in error.message_dict.items())
        raise BadFile(f"{path}: {errors}") from None
    author = _get(path, row, "author", str, "")
    return VersionFile(number, checked, note, tags, author, _time(path, row))


def _read_fields(path: Path, known: tuple[str, ...]) -> dict[str, Any]:
    try:
        row = yaml_loader.load(path.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: not YAML: {error}") from None
    if not isinstance(row, dict):
        raise BadFile(f"{path}: it has no fields.")
    if unknown := [name for name in row if name not in known]:
        raise BadFile(f"{path}: unknown field '{unknown[0]}'.")
    return row


def _get(
    path: Path, row: Mapping[str, Any], name: str, kind: type, default: Any = None
) -> Any:
    value = row.get(name, default)
    if not isinstance(value, kind):
        raise BadFile(f"{path}: '{name}' is missing or not of the right kind.")
    return value


def _time(path: Path, row: Mapping[str, Any]) -> datetime | None:
    value = row.get("created_at")
    try:
        found = parse_datetime(value) if isinstance(value, str) else value
    except ValueError:
        found = value
    if found is None and value is None:
        return None
    if not isinstance(found, datetime):
        raise BadFile(f"{path}: 'created_at' is not a time.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
