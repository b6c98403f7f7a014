"""Reduces a settlement that the database refuses to a form that it accepts."""

from dataclasses import fields, replace
from typing import Any

from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models import IntegerField

from billing.ledger.types import Charge, Hit, Item, Note, Settle, Stored
from billing.models import Usage

# The mark of a row that was reduced so that it could be written.
MARK = "reduced"
_COLUMNS = {field.column: field for field in Usage._meta.concrete_fields}
# The columns of a row that are text, and how much each holds.
_MOST = {
    name: field.max_length
    for name, field in _COLUMNS.items()
    if getattr(field, "max_length", None)
}
# The columns of a row that are whole numbers, and their bounds.
_RANGES = {
    name: BaseDatabaseOperations.integer_field_ranges[field.get_internal_type()]
    for name, field in _COLUMNS.items()
    if isinstance(field, IntegerField)
}
# Money: 18 digits in micro-dollars.
_MOST_MONEY = 10**18 - 1
_MONEY = ("cost", "provider_cost", "saved")
# Without these there is no row.
_NEEDED = ("user_id", "model", "endpoint", "trace_id")
_NUL = "\0"


def weight(item: Item) -> int:
    """Bytes of the stored answer, which may be far larger than all the rest."""
    answer = item.answer if isinstance(item, Settle | Hit) else None
    return len(answer.body) if answer else 0


def drop_body(item: Item) -> Item | None:
    """`item` without the body of its stored answer; None: it has none.

    Its key still guards against a second call.
    """
    if not weight(item) or not isinstance(item, Settle | Hit) or item.answer is None:
        return None
    answer = replace(item.answer, body=b"", kept=False)
    if isinstance(item, Hit):
        return replace(item, answer=answer, charge=_add_mark(item.charge))
    return replace(item, answer=answer, charge=item.charge and _add_mark(item.charge))


def sanitize_item(item: Item) -> Item | None:
    """`item` reduced by one step; None: it cannot be reduced further.

    First invalid characters and numbers are removed, then the stored answer, then all
    but the required columns. A bill must be written, even if it is incomplete.
    """
    if isinstance(item, Note):
        return _sanitize_note(item)
    if not isinstance(item, Settle):
        return None
    clean = replace(
        item,
        facts={name: _column(name, value) for name, value in item.facts.items()},
        charge=_charge(item.charge),
        answer=_answer(item.answer),
    )
    if clean != item:
        return replace(clean, charge=clean.charge and _add_mark(clean.charge))
    bare: dict[str, Any] = {n: str(item.facts.get(n) or "") for n in _NEEDED}
    if "tags" in item.facts:
        # Its counters are those of its tags.
        bare["tags"] = item.facts["tags"]
    if weight(item):
        return drop_body(item)
    if item.facts not in ({}, bare):
        return replace(item, facts=bare, charge=item.charge and _add_mark(item.charge))
    return None


def _sanitize_note(item: Note) -> Note | None:
    facts = {name: _column(name, value) for name, value in item.facts.items()}
    charge = _charge(item.charge) or item.charge
    clean = replace(item, facts=facts, charge=charge)
    return None if clean == item else replace(clean, charge=_add_mark(charge))


def _add_mark(charge: Charge) -> Charge:
    if MARK in charge.marks:
        return charge
    return replace(charge, marks=(*charge.marks, MARK))


def _charge(charge: Charge | None) -> Charge | None:
    if charge is None:
        return None
    clean = {
        field.name: _column(field.name, getattr(charge, field.name))
        for field in fields(Charge)
        if field.name not in ("marks", *_MONEY)
    }
    money = {
        name: max(-_MOST_MONEY, min(getattr(charge, name), _MOST_MONEY))
        for name in _MONEY
    }
    return replace(charge, **clean, **money)


def _answer(answer: Stored | None) -> Stored | None:
    if answer is None:
        return None
    return replace(answer, headers=_clean(answer.headers))


def _column(name: str, value: Any) -> Any:
    """`value` cut to what its column accepts."""
    value = _clean(value)
    if isinstance(value, str):
        return value[: _MOST.get(name)]
    if isinstance(value, int) and name in _RANGES:
        low, high = _RANGES[name]
        return max(low, min(value, high))
    return value


def _clean(value: Any) -> Any:
    """JSON without NUL and lone surrogates, which PostgreSQL refuses."""
    if isinstance(value, str):
        return value.replace(_NUL, "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(name): _clean(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    return value
