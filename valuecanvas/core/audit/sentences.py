"""An entry of the audit in plain words."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.text import Truncator

from valuecanvas.core.audit.models import AuditEntry

NONE = "–"
SECRET = "***"  # noqa: S105 - stands for one
MOST_CHANGES = 3
MOST_TEXT = 60
VERBS = {
    "created": "created", "changed": "changed", "deleted": "deleted",
    "added": "changed", "removed": "changed", "acted": "acted on",
}  # fmt: skip
# Names of rows that others refer to, by the model and the key as text.
Names = Mapping[tuple[type[Model], str], str]


class ColumnChange(NamedTuple):
    """One column of a changed row, or one detail of an event."""

    title: str
    before: str
    after: str


def model_of(kind: str) -> type[Model] | None:
    """The model of an entry's kind; None: none of this version."""
    try:
        return apps.get_model(kind)
    except (LookupError, ValueError):
        return None


def kind_name(kind: str) -> str:
    """The kind as a person would write it."""
    model = model_of(kind)
    return str(model._meta.verbose_name) if model else kind.rpartition(".")[2]


def changes(entry: AuditEntry, names: Names | None = None) -> list[ColumnChange]:
    """What differs, column by column."""
    before, after = entry.before or {}, entry.after or {}
    fields = _fields(entry.kind)
    return [
        ColumnChange(
            _title(name, fields.get(name)),
            _text(before.get(name), fields.get(name), names or {}),
            _text(after.get(name), fields.get(name), names or {}),
        )
        for name in dict.fromkeys([*before, *after])
    ]


def describe(entry: AuditEntry, names: Names | None = None) -> str:
    """What was done, as a sentence after the name of who did it."""
    verb = VERBS.get(entry.action)
    event = entry.action.replace(".", " ").replace("_", " ")
    what = [verb or event]
    if entry.kind:
        what.append(kind_name(entry.kind))
    if entry.label:
        what.append(entry.label)
    found = changes(entry, names)
    if entry.action in ("created", "deleted") or not found:
        return " ".join(what)
    parts = [_phrase(entry.action, one) for one in found[:MOST_CHANGES]]
    if more := len(found) - MOST_CHANGES:
        parts += [f"and {more} more"] if more > 0 else []
    return f"{' '.join(what)}: {', '.join(parts)}"


def find_names(entries: Iterable[AuditEntry]) -> Names:
    """The names of the rows that the values of `entries` refer to, by one query a model."""
    wanted: dict[type[Model], set[str]] = {}
    for entry in entries:
        fields = _fields(entry.kind)
        for values in (entry.before or {}, entry.after or {}):
            for name, value in values.items():
                model = _target(fields.get(name))
                if model and value is not None and _is_key(model, str(value)):
                    wanted.setdefault(model, set()).add(str(value))
    return {
        (model, str(row.pk)): str(row)
        for model, keys in wanted.items()
        for row in model._default_manager.filter(pk__in=keys)
    }


def _is_key(model: type[Model], value: str) -> bool:
    """Whether a row may have this key: a column may have been of another type once."""
    try:
        model._meta.pk.to_python(value)
    except ValidationError:
        return False
    return True


def _phrase(action: str, one: ColumnChange) -> str:
    if action == "added":
        return f"{one.title} + {_short(one.after)}"
    if action == "removed":
        return f"{one.title} − {_short(one.before)}"
    if SECRET in (one.before, one.after):
        return (
            f"{one.title} replaced" if one.before == one.after else f"{one.title} set"
        )
    if action == "changed":
        return f"{one.title} {_short(one.before)} → {_short(one.after)}"
    return (
        _short(one.after) if action == "acted" else f"{one.title} {_short(one.after)}"
    )


def _short(text: str) -> str:
    return Truncator(text).chars(MOST_TEXT)


def _fields(kind: str) -> dict[str, Any]:
    model = model_of(kind)
    if model is None:
        return {}
    links: dict[str, Any] = {one.name: one for one in model._meta.many_to_many}
    return links | {str(one.column): one for one in model._meta.concrete_fields}


def _target(field: Any) -> Any:
    """The model that a foreign key refers to; None: it is no foreign key."""
    return field.related_model if field is not None and field.many_to_one else None


def _title(column: str, field: Any) -> str:
    return str(field.verbose_name) if field else column.replace("_", " ")


def _text(value: Any, field: Any, names: Names) -> str:
    if value is None or value in ("", []):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and not any(
        isinstance(one, dict | list) for one in value
    ):
        return ", ".join(map(str, value))
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if target := _target(field):
        return names.get((target, str(value)), str(value))
    chosen = dict(getattr(field, "flatchoices", None) or ())
    return str(chosen.get(value, value))
