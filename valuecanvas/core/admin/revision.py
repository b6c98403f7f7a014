"""The values that a form was opened with, and what changed before it was saved."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import orjson
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import display_for_field
from django.contrib.contenttypes.models import ContentType
from django.db.models import BinaryField, BooleanField, Max, Model, Q, QuerySet
from django.utils.text import capfirst

# By a field's name, or an inline row's model and key: the value to compare, and its text.
Values = dict[str, list[str]]
NONE = "–"
NO_VALUE = ["", NONE]


class Difference(NamedTuple):
    """A value as the form was opened, as it is now, and as saving the form leaves it.

    `entered` is None where that cannot be told: of inline rows and of secrets.
    """

    title: str
    before: str
    now: str
    entered: str | None


class Revision:
    """The saved values of a row and of its inline rows.

    Of the fields in `secret` only digests, because the values are sent to the page.
    """

    def __init__(
        self, row: Model, inlines: Sequence[type[Model]], secret: frozenset[str]
    ) -> None:
        self.row, self.inlines, self.secret = row, inlines, secret

    @cached_property
    def values(self) -> Values:
        found = {one.name: self._value(one) for one in _fields(self.row)}
        for rows in self.inline_rows():
            found |= {f"{row._meta.model_name} {row.pk}": _line(row) for row in rows}
        return found

    def inline_rows(self) -> list[QuerySet[Any]]:
        """The saved rows of each inline, by their keys."""
        return [
            model._default_manager.filter(**{field.name: self.row.pk}).order_by("pk")
            for model in self.inlines
            for field in model._meta.concrete_fields
            if field.related_model is type(self.row)
        ]

    def dump(self) -> str:
        """The values as a text for a hidden field."""
        last = self._log(self.values).aggregate(last=Max("pk"))["last"] or 0
        return orjson.dumps([last, self.values]).decode()

    def compare(self, text: str, form: Any) -> list[Difference]:
        """What changed since `text` was dumped; [] if saving `form` would undo none of it."""
        before = _load(text)[1]
        changed = [
            name
            for name in dict.fromkeys([*self.values, *before])
            if before.get(name, NO_VALUE)[0] != self.values.get(name, NO_VALUE)[0]
        ]
        found = [self._difference(name, before, form) for name in changed]
        return found if any(one.entered != one.now for one in found) else []

    def changes(self, text: str) -> list[LogEntry]:
        """The entries of the audit log since `text` was dumped, with their users."""
        last, before = _load(text)
        entries = self._log({**before, **self.values}).filter(pk__gt=last)
        return list(entries.select_related("user").order_by("pk"))

    def _difference(self, name: str, before: Values, form: Any) -> Difference:
        field = {one.name: one for one in _fields(self.row)}.get(name)
        now = self.values.get(name, NO_VALUE)[1]
        entered, title = None, name.partition(" ")[0]
        if field is not None:
            title = field.verbose_name
            if not self._is_secret(field):
                entered = _text(field, form.instance)
        if name in form.fields:
            title = form.fields[name].label
        return Difference(capfirst(title), before.get(name, NO_VALUE)[1], now, entered)

    def _value(self, field: Any) -> list[str]:
        if not self._is_secret(field):
            return [field.value_to_string(self.row), _text(field, self.row)]
        if not getattr(self.row, field.name):
            return NO_VALUE
        raw = field.value_to_string(self.row)
        digest = hashlib.sha256(raw.encode()).hexdigest()[:12]
        return [digest, f"stored ({digest})"]

    def _is_secret(self, field: Any) -> bool:
        return field.name in self.secret or isinstance(field, BinaryField)

    def _log(self, values: Values) -> QuerySet[LogEntry]:
        """The audit log of the row and of the inline rows in `values`."""
        found = Q(content_type=_type(type(self.row)), object_id=str(self.row.pk))
        for model in self.inlines:
            start = f"{model._meta.model_name} "
            keys = [name[len(start) :] for name in values if name.startswith(start)]
            found |= Q(content_type=_type(model), object_id__in=keys)
        return LogEntry.objects.filter(found)


def _load(text: str) -> tuple[int, Values]:
    """A dumped text. One that is not ours counts as no values: all of them differ."""
    try:
        last, values = orjson.loads(text)
        return int(last), {str(name): [*map(str, one)] for name, one in values.items()}
    except (ValueError, TypeError, AttributeError):
        return 0, {}


def _type(model: type[Model]) -> ContentType:
    return ContentType.objects.get_for_model(model)


def _fields(row: Model) -> list[Any]:
    return [one for one in row._meta.concrete_fields if not one.primary_key]


def _text(field: Any, row: Any) -> str:
    value = getattr(row, field.name)
    if isinstance(field, BooleanField):
        return "yes" if value else "no"
    return str(display_for_field(value, field, NONE))


def _line(row: Model) -> list[str]:
    """All fields of an inline row in one line, as value and text."""
    line = ", ".join(f"{one.verbose_name} {_text(one, row)}" for one in _fields(row))
    return [line, line]
