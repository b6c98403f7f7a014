"""JSON Schema validation with a bounded number of steps.

A schema with references to itself, or with nested choices, may take exponential time. So
every evaluated keyword costs steps, and a request has a limited number of them.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from prompts.rendering.patterns import BadPattern, Pattern, compile_pattern

# Steps of one request, about 2 microseconds each: enough for 10,000 small objects.
MOST_STEPS = 100_000
# The best of the first errors is reported.
MOST_ERRORS = 20
TOO_DEEP = "It is nested too deeply."
# The deepest nesting of keywords: jsonschema recurses, and its libraries crash at Python's
# recursion limit.
DEEPEST = 80
# Steps of a reference; a named one searches the whole schema.
_REFERENCE, _NAMED_REFERENCE = 4, 1_000
# An empty registry: references outside the schema are never fetched.
_REGISTRY: Registry = Registry()

Errors = Iterator[ValidationError]
Keyword = Callable[[Any, Any, Any, Mapping[str, Any]], Errors]
# Further steps for the value of a keyword and the instance.
Cost = Callable[[Any, Any], int]


class TooManySteps(Exception):
    """The check of a value against a schema would take too long."""


class TooDeep(Exception):
    """The value or the schema is nested too deeply."""


class Steps:
    """The remaining steps for the checks of one request."""

    __slots__ = ("depth", "left")

    def __init__(self, left: int = MOST_STEPS) -> None:
        self.left = left
        self.depth = 0

    @contextmanager
    def nest(self) -> Iterator[None]:
        """Enter a nested keyword. Raises TooDeep."""
        if self.depth >= DEEPEST:
            raise TooDeep
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def take(self, number: int) -> None:
        """Use up steps. Raises TooManySteps when none are left."""
        self.left -= number
        if self.left < 0:
            raise TooManySteps


# jsonschema passes no context to keywords.
_STEPS: ContextVar[Steps] = ContextVar("prompts.rendering.schema.steps")


def validator(schema: Mapping[str, Any]) -> Any:
    """The compiled schema for `mismatch`; reuse it."""
    return Validator(dict(schema), registry=_REGISTRY)


def mismatch(validator: Any, value: object, steps: Steps) -> str | None:
    """Why `value` does not match; None if it matches. Uses at most `steps`.

    A value that cannot be checked in these steps does not match.
    """
    outer = _STEPS.set(steps)
    try:
        error = best_match(islice(validator.iter_errors(value), MOST_ERRORS))
    except Unresolvable as unknown:
        return f"Its schema refers to something unknown: {unknown}"
    except (TooDeep, RecursionError):
        return TOO_DEEP
    except TooManySteps:
        return (
            "Checking it takes too long: send a smaller value, or give it a simpler "
            "schema."
        )
    finally:
        _STEPS.reset(outer)
    return None if error is None else str(error.message)


def _counted(keyword: Keyword, cost: Cost | None) -> Keyword:
    """`keyword` with its steps counted, and unusable patterns reported."""

    def counted(
        validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]
    ) -> Errors:
        steps = _STEPS.get()
        further = cost(value, instance) if cost else 0
        steps.take(1 + _breadth(value) // 4 + _breadth(instance) + further)
        with steps.nest():
            try:
                for error in keyword(validator, value, instance, schema):
                    # The error quotes the value, and passes through all outer keywords.
                    steps.take(1 + len(error.message) // 100)
                    yield error
            except BadPattern as bad:
                yield ValidationError(str(bad))

    return counted


def _breadth(value: object) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _nodes(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_nodes, value.values()))
    return 1 + sum(map(_nodes, value)) if isinstance(value, list) else 1


def _cost_of_comparison(value: object, instance: object) -> int:
    """Of keywords that compare with all of their schema value."""
    return _nodes(value) // 2 if isinstance(instance, list | dict) else 0


def _cost_of_reference(to: Any, instance: object) -> int:
    return _REFERENCE if to == "#" or to.startswith("#/") else _NAMED_REFERENCE


def _unsupported(name: str) -> Keyword:
    """Refuse a keyword whose steps cannot be counted, in versions saved elsewhere."""

    def unsupported(
        validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]
    ) -> Errors:
        yield ValidationError(f"its schema has '{name}', which is not supported.")

    return unsupported


def _pattern(
    validator: Any, value: str, instance: Any, schema: Mapping[str, Any]
) -> Errors:
    if isinstance(instance, str) and not _found(_compile(value), instance):
        yield ValidationError(f"{instance!r} does not match {value!r}")


def _pattern_properties(
    validator: Any, value: Mapping[str, Any], instance: Any, schema: Mapping[str, Any]
) -> Errors:
    if not isinstance(instance, dict):
        return
    for text, inner in value.items():
        pattern = _compile(text)
        for key, one in instance.items():
            if _found(pattern, key):
                yield from validator.descend(one, inner, path=key, schema_path=text)


def _additional_properties(
    validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]
) -> Errors:
    if not isinstance(instance, dict):
        return
    named = schema.get("properties", {})
    patterns = [_compile(one) for one in schema.get("patternProperties", ())]
    extra = [
        key
        for key in instance
        if key not in named and not any(_found(one, key) for one in patterns)
    ]
    if isinstance(value, dict):
        for key in extra:
            yield from validator.descend(instance[key], value, path=key)
    elif value is False and extra:
        listed = ", ".join(map(repr, extra[:MOST_ERRORS]))
        yield ValidationError(f"Additional properties are not allowed: {listed}")


def _compile(pattern: str) -> Pattern:
    try:
        return compile_pattern(pattern)
    except BadPattern as error:
        raise BadPattern(f"The pattern {pattern!r} can't be used: {error}") from None


def _found(pattern: Pattern, text: str) -> bool:
    _STEPS.get().take(pattern.steps(text))
    return pattern.matches(text)


def _unique_items(
    validator: Any, value: bool, instance: Any, schema: Mapping[str, Any]
) -> Errors:
    """Check unique items in linear time; jsonschema compares all pairs."""
    if not value or not isinstance(instance, list):
        return
    if len({json.dumps(one, sort_keys=True) for one in instance}) < len(instance):
        yield ValidationError(f"{instance!r} has non-unique elements")


UNSUPPORTED = ("unevaluatedItems", "unevaluatedProperties")
_KEYWORDS: dict[str, Keyword] = {
    **Draft202012Validator.VALIDATORS,
    **{name: _unsupported(name) for name in UNSUPPORTED},
    "additionalProperties": _additional_properties,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "uniqueItems": _unique_items,
}
_COSTS: dict[str, Cost] = {
    **dict.fromkeys(("const", "dependentRequired", "enum"), _cost_of_comparison),
    **dict.fromkeys(("$ref", "$dynamicRef"), _cost_of_reference),
}
Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {name: _counted(keyword, _COSTS.get(name)) for name, keyword in _KEYWORDS.items()},
)
