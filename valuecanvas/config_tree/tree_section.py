"""One file of the tree: the rows of one model."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import AutoField, Model, Q

from valuecanvas.config_tree.field_values import (
    KnownRows,
    default_of,
    key_fields,
    key_of,
    label,
    parse_fields,
    read,
)

Document = dict[str, Any]
_EMPTY: tuple[Any, ...] = (None, "", [], {})


def _nothing(*about: Any) -> str:
    return ""


def compact(fields: Mapping[str, Any], document: Document) -> Document:
    """The document without empty values that are the default."""
    return {
        name: document[name]
        for name, field in fields.items()
        if document[name] not in _EMPTY or document[name] != default_of(field)
    }


@dataclass(frozen=True)
class TreeSection:
    """A file with the fields that people may edit: no secrets, and no states.

    `exported` are the rows that the file has. `unchangeable` and `undeletable` say why an
    import leaves a row alone; '' if it does not. `adjust` gets a row before it is changed,
    and its new document, and says what else changes. `check` raises ValidationError.
    """

    model: type[Model]
    also: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    exported: Callable[[], Q] = Q
    unchangeable: Callable[[Any], str] = _nothing
    undeletable: Callable[[Any], str] = _nothing
    adjust: Callable[[Any, Document], str] = _nothing
    check: Callable[[Any], object] = _nothing

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The fields by name, those of the key first."""
        meta = self.model._meta
        found = {field.name: field for field in (*meta.fields, *meta.many_to_many)}
        editable = [
            name
            for name, field in found.items()
            if field.editable and not isinstance(field, AutoField)
        ]
        wanted = (*key_fields(self.model), "name", *editable, *self.also)
        return {
            name: found[name]
            for name in wanted
            if name in found and name not in self.without
        }

    def rows(
        self, chosen: Q | None = None, *, lock: bool = False
    ) -> Iterator[tuple[Any, Document]]:
        """The exported rows, or the chosen ones, and their documents.

        `lock`: nobody else changes them until the transaction ends.
        """
        rows = self.model._default_manager.order_by("pk")
        rows = rows.filter(self.exported() if chosen is None else chosen)
        if lock:
            rows = rows.select_for_update(of=("self",), no_key=True)
        related = [name for name, field in self.fields.items() if field.many_to_one]
        for row in rows.select_related(*related):
            yield row, self.document(row)

    def document(self, row: Any) -> Document:
        return {name: read(field, row) for name, field in self.fields.items()}

    def compact(self, document: Document) -> Document:
        """The document as the file has it."""
        return compact(self.fields, document)

    def parse(self, given: Any) -> Document:
        """The document of a row of the file. Raises ValidationError by field."""
        found = parse_fields(self.fields, given)
        for name, field in key_fields(self.model).items():
            # Another default each time would be another row each time.
            if name not in given and default_of(field) not in _EMPTY:
                raise ValidationError({name: "This field is required."})
        return found

    def key(self, document: Document) -> Any:
        return key_of(self.model, document)

    def name(self, document: Document) -> str:
        """The row in words: 'tier pro'."""
        noun = str(self.model._meta.verbose_name).lower()
        return f"{noun} {label(self.key(document))}"

    def find(self, document: Document, known: KnownRows) -> tuple[Any, Document | None]:
        """The row, locked, also if it is not exported; else a new one with its key."""
        try:
            pk = known.get(self.model, self.key(document)).pk
        except ValidationError:
            values = {
                name: known.value(field, document[name])
                for name, field in key_fields(self.model).items()
                if not field.is_relation
            }
            return self.model(**values), None
        return next(self.rows(Q(pk=pk), lock=True))

    def save(self, row: Any, document: Document, known: KnownRows) -> Any:
        """Save the row as the document says; the row. Raises ValidationError by field."""
        values = {}
        for name, field in self.fields.items():
            try:
                values[name] = known.value(field, document[name])
            except ValidationError as error:
                raise ValidationError({name: error.messages}) from None
            if not field.many_to_many:
                setattr(row, name, values[name])
        # Rows of one file may refer to those that are saved later.
        own = [
            one.name for one in self.fields.values() if one.related_model is self.model
        ]
        row.full_clean(exclude=own)
        self.check(row)
        row.save()
        for name, rows in values.items():
            if self.fields[name].many_to_many:
                getattr(row, name).set(rows)
        return row
