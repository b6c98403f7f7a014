"""Seals stored secrets again after FIELD_KEY was changed: all columns, in small steps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import BinaryField, Model
from django.db.models.functions import Substr

from valuecanvas.core import crypto
from valuecanvas.core.fields import SealedField

BATCH = 100


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed values."""

    model: type[Model]
    field: str
    owner: Callable[[Any], str]

    def __str__(self) -> str:
        return f"{self.model._meta.label}.{self.field}"


@dataclass(slots=True)
class ResealCount:
    """The values of a column that were not sealed with the present key."""

    resealed: int = 0
    # Changed by somebody else at that moment.
    left: int = 0
    # No key of this installation opens them.
    unreadable: int = 0


def find_columns() -> list[SealedColumn]:
    """All columns of sealed values that are kept."""
    fields = (
        (model, field)
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.local_fields
        if isinstance(field, SealedField)
    )
    return [
        SealedColumn(model, field.attname, field.seal_owner)
        for model, field in fields
        if field.seal_owner is not None
    ]


def reseal(column: SealedColumn, *, write: bool = True) -> ResealCount:
    """Seal the column's values with the present key. It may be stopped and begun again.

    A row that is written meanwhile is left to its writer. Without `write` the values
    that would be sealed again are only counted, as `left`.
    """
    count = ResealCount()
    for row in _find_old(column):
        old = bytes(getattr(row, column.field))
        owner = column.owner(row)
        try:
            new = crypto.seal_bytes(crypto.unseal_bytes(old, owner), owner)
        except crypto.UnreadableSecret:
            count.unreadable += 1
            continue
        rows = column.model._base_manager.filter(pk=row.pk, **{column.field: old})
        if write and rows.update(**{column.field: new}):
            count.resealed += 1
        else:
            count.left += 1
    return count


def _find_old(column: SealedColumn) -> Iterator[Any]:
    head = Substr(column.field, 1, crypto.HEADER, output_field=BinaryField())
    rows = (
        column.model._base_manager.exclude(**{column.field: None})
        .annotate(head=head)
        .exclude(head=crypto.present_header())
        .order_by("pk")
    )
    batch = list(rows[:BATCH])
    while batch:
        yield from batch
        batch = list(rows.filter(pk__gt=batch[-1].pk)[:BATCH])
