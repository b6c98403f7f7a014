"""A settlement in words that the database takes, whatever they were before."""

from dataclasses import replace
from typing import Any

from billing.ledger.types import Charge, Item, Settle, Stored
from billing.models import Usage

# The columns of a row that are text, and how much each holds.
_MOST = {
    field.column: field.max_length
    for field in Usage._meta.concrete_fields
    if getattr(field, "max_length", None)
}
_NUL = "\0"


def plainer(item: Item) -> Item | None:
    """`item` with nothing in it that its columns do not take; None: it has nothing.

    A bill must land: better a word shorter than a request that was never paid.
    """
    if not isinstance(item, Settle):
        return None
    found = replace(
        item,
        facts={name: _column(name, value) for name, value in item.facts.items()},
        charge=_charge(item.charge),
        answer=_answer(item.answer),
    )
    return None if found == item else found


def _charge(charge: Charge | None) -> Charge | None:
    if charge is None:
        return None
    texts = ("provider", "upstream_model", "status", "error_code", "source")
    return replace(
        charge, **{name: _column(name, getattr(charge, name)) for name in texts}
    )


def _answer(answer: Stored | None) -> Stored | None:
    if answer is None:
        return None
    return replace(answer, headers=_clean(answer.headers))


def _column(name: str, value: Any) -> Any:
    value = _clean(value)
    return value[: _MOST.get(name)] if isinstance(value, str) else value


def _clean(value: Any) -> Any:
    """JSON without NUL and without halves of characters, which PostgreSQL refuses."""
    if isinstance(value, str):
        return value.replace(_NUL, "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(name): _clean(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    return value
