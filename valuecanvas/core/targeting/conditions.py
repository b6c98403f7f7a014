"""Conditions on a caller's attributes: validated when saved, compiled when loaded."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from operator import eq, ge, gt, le, lt
from typing import Any, TypeGuard

from valuecanvas.core.json_numbers import REMEDY, too_large
from valuecanvas.core.targeting import patterns, semver

Context = Mapping[str, object]
Test = Callable[[Context], bool]
Scalar = str | int | float | bool

MOST_CONDITIONS = 50
# Most values of a condition's list, as of `in`.
MOST_VALUES = 1_000
# Most characters of a text.
LONGEST = 1_000
# A longer list of a caller matches nothing: each rule of each flag reads it.
MOST_FOUND = 1000
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}  # fmt: skip
_VERSIONS = {f"semver_{name}": test for name, test in {**_ORDERS, "eq": eq}.items()}
_TEXTS: dict[str, Callable[[str, str], bool]] = {
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}
OPERATORS = (
    "equals",
    "not_equals",
    "in",
    "not_in",
    *_ORDERS,
    "contains",
    "not_contains",
    *_TEXTS,
    "matches",
    *_VERSIONS,
    "exists",
)


TOO_MANY_STEPS = (
    "The patterns could take too long together: use fewer or simpler ones, or 'in', "
    "'starts_with' and 'ends_with'."
)


class Attributes(dict[str, Any]):
    """A caller's attributes, whose lists are read once, not for each condition.

    It must not change once a condition has read it.
    """

    __slots__ = ("members",)

    def __init__(self, found: Context) -> None:
        super().__init__(found)
        self.members: dict[str, Set[object]] = {}


class BadCondition(ValueError):
    """The condition is not valid."""


def compile_conditions(conditions: Sequence[Mapping[str, Any]]) -> tuple[Test, ...]:
    """Compile each condition to a test, which never raises. Raises BadCondition.

    A missing attribute, or one of another type than the operator needs, matches no
    condition except `exists` with false: not `not_in` either.
    """
    return tuple(_compile(one) for one in conditions)


def check_conditions(conditions: object, *, most: int = MOST_CONDITIONS) -> str:
    """A message on the first wrong condition; empty: all are right."""
    if not isinstance(conditions, list):
        return "Conditions are a list."
    if len(conditions) > most:
        return f"At most {most} conditions; these are {len(conditions):,}."
    for number, one in enumerate(conditions, start=1):
        try:
            _compile(one)
            _refuse_large(one.get("value"))
        except BadCondition as error:
            return f"Condition {number}: {error}"
    if steps(conditions) > patterns.MOST_STEPS_TOGETHER:
        return TOO_MANY_STEPS
    return ""


def steps(conditions: Sequence[Mapping[str, Any]]) -> int:
    """The cost of the patterns in `conditions` for each character of a value."""
    found = 0
    for one in conditions:
        if one.get("operator") == "matches" and isinstance(one.get("value"), str):
            with suppress(patterns.BadPattern):
                found += patterns.compile_pattern(one["value"]).programsize
    return found


def _refuse_large(value: object) -> None:
    """Refuse large values when saving; stored ones keep working. Raises BadCondition."""
    values = value if isinstance(value, list) else [value]
    if len(values) > MOST_VALUES:
        raise BadCondition(
            f"the list has at most {MOST_VALUES:,} values; these are {len(values):,}."
        )
    if too_large(values):
        raise BadCondition(REMEDY)
    longest = max((len(one) for one in values if isinstance(one, str)), default=0)
    if longest > LONGEST:
        raise BadCondition(
            f"a value has at most {LONGEST:,} characters; this has {longest:,}."
        )


def _compile(one: object) -> Test:
    if not isinstance(one, Mapping):
        raise BadCondition("it has to be an object.")
    if extra := one.keys() - {"attribute", "operator", "value"}:
        raise BadCondition(f"'{min(map(str, extra))}' is not a field of a condition.")
    name, operator, value = (one.get(k) for k in ("attribute", "operator", "value"))
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        raise BadCondition("'attribute' must be a text of 1 to 100 characters.")
    if operator not in OPERATORS:
        raise BadCondition(f"'operator' is one of {', '.join(OPERATORS)}.")
    return _build(name, str(operator), value)


def _build(name: str, operator: str, value: object) -> Test:
    if operator in ("in", "not_in"):
        return _among(name, value, wanted=operator == "in")
    if operator in ("equals", "not_equals"):
        return _among(name, [value], wanted=operator == "equals")
    if operator in ("contains", "not_contains"):
        return _contains(name, value, wanted=operator == "contains")
    if operator in _ORDERS:
        return _compare(name, value, _ORDERS[operator])
    if operator in _VERSIONS:
        return _version(name, value, _VERSIONS[operator])
    if operator == "exists":
        return _exists(name, value)
    return _text(name, value, operator)


def _is_scalar(value: object) -> TypeGuard[Scalar]:
    return isinstance(value, str | int | float)


def _is_list(found: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    return isinstance(found, list | tuple) and len(found) <= MOST_FOUND


def _scalar(value: object) -> Scalar:
    if not _is_scalar(value) or (isinstance(value, float) and not math.isfinite(value)):
        raise BadCondition("the value is a text, a number, true or false.")
    return value


def _same(value: Scalar) -> object:
    """A key that is equal for equal JSON values only: in Python, 1 == True."""
    return (value,) if isinstance(value, bool) else value


def _among(name: str, values: object, *, wanted: bool) -> Test:
    if not isinstance(values, list) or not values:
        raise BadCondition("the value is a list, of one value or more.")
    known = frozenset(_same(_scalar(value)) for value in values)

    def test(context: Context) -> bool:
        found = context.get(name)
        if type(found) is str:
            return (found in known) is wanted
        if _is_list(found):
            return known.isdisjoint(_members(context, name, found)) is not wanted
        return _is_scalar(found) and (_same(found) in known) is wanted

    return test


def _members(context: Context, name: str, found: Iterable[object]) -> Set[object]:
    if not isinstance(context, Attributes):
        return frozenset(_same(one) for one in found if _is_scalar(one))
    if name not in context.members:
        members = frozenset(_same(one) for one in found if _is_scalar(one))
        context.members[name] = members
    return context.members[name]


def _contains(name: str, value: object, *, wanted: bool) -> Test:
    part = _scalar(value)

    def test(context: Context) -> bool:
        found = context.get(name)
        if isinstance(found, str):
            return (str(part) in found) is wanted
        if _is_list(found):
            return (_same(part) in _members(context, name, found)) is wanted
        return False

    return test


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compare(name: str, value: object, compare: Callable[[Any, Any], bool]) -> Test:
    """Compares numbers by size, and texts by their characters, as ISO dates sort."""
    limit = _scalar(value)
    if isinstance(limit, bool):
        raise BadCondition("the value is a number, or a text.")
    text = isinstance(limit, str)

    def test(context: Context) -> bool:
        found = context.get(name)
        fits = isinstance(found, str) if text else _is_number(found)
        return fits and compare(found, limit)

    return test


def _version(name: str, value: object, compare: Callable[[Any, Any], bool]) -> Test:
    limit = semver.parse_version(value)
    if limit is None:
        raise BadCondition("the value is a version, as in '2.1.0'.")

    def test(context: Context) -> bool:
        found = semver.parse_version(context.get(name))
        return found is not None and compare(found, limit)

    return test


def _exists(name: str, value: object) -> Test:
    wanted = value is None or value
    if not isinstance(wanted, bool):
        raise BadCondition("the value is true or false.")
    return lambda context: (context.get(name) is not None) is wanted


def _text(name: str, value: object, operator: str) -> Test:
    if not isinstance(value, str) or not value:
        raise BadCondition("the value is a text.")
    if operator == "matches":
        return _matches(name, value)
    compare = _TEXTS[operator]

    def test(context: Context) -> bool:
        found = context.get(name)
        return isinstance(found, str) and compare(found, value)

    return test


def _matches(name: str, value: str) -> Test:
    try:
        matched = patterns.compile_pattern(value).fullmatch
    except patterns.BadPattern as error:
        raise BadCondition(str(error)) from error

    def test(context: Context) -> bool:
        found = context.get(name)
        if not isinstance(found, str) or len(found) > patterns.MOST_INPUT:
            return False
        return matched(found) is not None

    return test
