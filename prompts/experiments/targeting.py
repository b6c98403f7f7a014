"""Who takes part in an experiment: tiers, and conditions on attributes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

MOST_CONDITIONS = 20
MOST_VALUES = 1000
LONGEST_ATTRIBUTE = 100

Scalar = str | int | float | bool
_SCALARS = (str, int, float, bool)


@dataclass(frozen=True, slots=True)
class Condition:
    """`attribute` of the caller compared with `value` by `operator`."""

    attribute: str
    operator: str
    value: Any = None


def _contains(found: object, value: Any) -> bool:
    if isinstance(found, str):
        return isinstance(value, str) and value in found
    return isinstance(found, list | tuple | set | frozenset) and value in found


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[object, Any], bool]:
    """Numbers with numbers, texts with texts; anything else does not hold."""

    def holds(found: object, value: Any) -> bool:
        if _is_number(found) and _is_number(value):
            return compare(found, value)
        if isinstance(found, str) and isinstance(value, str):
            return compare(found, value)
        return False

    return holds


def _is_number(one: object) -> bool:
    return isinstance(one, int | float) and not isinstance(one, bool)


def _equal(found: object, value: object) -> bool:
    # In Python True == 1: to a person who writes a condition it is not.
    return found == value and isinstance(found, bool) == isinstance(value, bool)


def _among(found: object, values: Any) -> bool:
    return any(_equal(found, one) for one in values)


# What is asked only of callers that have the attribute; `exists` asks for it.
OPERATORS: Mapping[str, Callable[[object, Any], bool]] = {
    "equals": _equal,
    "not_equals": lambda found, value: not _equal(found, value),
    "in": _among,
    "not_in": lambda found, value: not _among(found, value),
    "gt": _ordered(lambda found, value: found > value),
    "gte": _ordered(lambda found, value: found >= value),
    "lt": _ordered(lambda found, value: found < value),
    "lte": _ordered(lambda found, value: found <= value),
    "contains": _contains,
    "exists": lambda found, value: bool(value),
}
_ORDERS = ("gt", "gte", "lt", "lte")
_LISTS = ("in", "not_in")
# What these say of a caller without the attribute.
_TRUE_IF_MISSING = ("not_equals", "not_in")


def parse(rows: object) -> tuple[Condition, ...]:
    """The conditions that JSON `rows` stand for.

    Raises ValidationError naming the first row that is wrong.
    """
    if not isinstance(rows, list):
        raise ValidationError("Conditions are a list.")
    if len(rows) > MOST_CONDITIONS:
        raise ValidationError(f"At most {MOST_CONDITIONS} conditions.")
    return tuple(_condition(number, row) for number, row in enumerate(rows, start=1))


def loaded(rows: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """What `parse` accepted before, without checking it again."""
    return tuple(
        Condition(row["attribute"], row["operator"], row.get("value")) for row in rows
    )


def takes_part(
    tiers: Sequence[str] | frozenset[str],
    conditions: Sequence[Condition],
    context: Mapping[str, object],
) -> bool:
    """Is this caller one of those whom the experiment is about?

    `context` has the caller's attributes, its tier among them. No tiers: every tier.
    """
    if tiers and context.get("tier") not in tiers:
        return False
    return all(holds(one, context) for one in conditions)


def holds(condition: Condition, context: Mapping[str, object]) -> bool:
    """Does the condition hold for the caller with these attributes?"""
    found = context.get(condition.attribute)
    if found is None:
        if condition.operator == "exists":
            return not condition.value
        return condition.operator in _TRUE_IF_MISSING
    return OPERATORS[condition.operator](found, condition.value)


def _condition(number: int, row: object) -> Condition:
    def wrong(text: str) -> ValidationError:
        return ValidationError(f"Condition {number}: {text}")

    if not isinstance(row, dict):
        raise wrong('write {"attribute", "operator", "value"}.')
    unknown = sorted(row.keys() - {"attribute", "operator", "value"})
    if unknown:
        raise wrong(f"unknown field '{unknown[0]}'.")
    attribute, operator = row.get("attribute"), row.get("operator")
    if not isinstance(attribute, str) or not 0 < len(attribute) <= LONGEST_ATTRIBUTE:
        raise wrong("'attribute' is a name, such as 'country'.")
    if not isinstance(operator, str) or operator not in OPERATORS:
        raise wrong(f"'operator' is one of {', '.join(OPERATORS)}.")
    problem = _value_problem(operator, row.get("value"))
    if problem:
        raise wrong(problem)
    value = row.get("value", True if operator == "exists" else None)
    return Condition(attribute, operator, value)


def _value_problem(operator: str, value: object) -> str:
    if operator in _LISTS:
        fine = (
            isinstance(value, list)
            and 0 < len(value) <= MOST_VALUES
            and all(isinstance(one, _SCALARS) for one in value)
        )
        return "" if fine else f"'{operator}' wants a list of values."
    if operator == "exists":
        fine = value is None or isinstance(value, bool)
        return "" if fine else "'exists' wants true or false."
    if operator in _ORDERS:
        fine = isinstance(value, str) or _is_number(value)
        return "" if fine else f"'{operator}' wants a number or a text."
    fine = isinstance(value, _SCALARS)
    return "" if fine else f"'{operator}' wants one value."
