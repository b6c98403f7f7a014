"""Rules for schemas of variables, so that every value can be checked in bounded time."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from jsonschema.exceptions import SchemaError

from prompts.rendering import patterns, schema
from prompts.rendering.patterns import BadPattern
from prompts.rendering.schema import Steps, Validator

LONGEST = 20_000
DEEPEST = 50
TOO_HEAVY = (
    "All patterns together are too large when their counts are written out: use '*', "
    "'+' or smaller counts."
)
# Names of schemas: each use searches the whole schema.
_NAMES = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor")
_INSTEAD = {
    **dict.fromkeys(_NAMES, "refer to '#/$defs/...' by '$ref'"),
    **dict.fromkeys(schema.UNSUPPORTED, "use 'items' and 'additionalProperties'"),
}
# Keywords that hold a schema, a list or an object of them.
_ONE = (
    "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames",
    "then",
)  # fmt: skip
_LIST = ("allOf", "anyOf", "oneOf", "prefixItems")
_OBJECT = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")  # fmt: skip
# One value of each kind: if no probe can be checked, no value can.
_PROBES: tuple[Any, ...] = ("", 0, [], {})


def problem(found: object) -> str | None:
    """Why `found` is not a valid schema of a variable; None if it is."""
    if not isinstance(found, dict):
        return 'A schema is an object, such as {"type": "string"}.'
    try:
        return _size(found) or _form(found) or _parts(found) or _endless(found)
    except RecursionError:
        return f"It is nested too deeply, more than {DEEPEST} levels."


def _size(found: Mapping[str, Any]) -> str | None:
    if len(json.dumps(found)) > LONGEST:
        return f"It has more than {LONGEST:,} characters as JSON."
    if _depth(found) > DEEPEST:
        return f"It is nested too deeply, more than {DEEPEST} levels."
    return None


def _depth(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _form(found: dict[str, Any]) -> str | None:
    try:
        # Without formats: Python's regular expressions are not the ones in use.
        Validator.check_schema(found, format_checker=None)
    except SchemaError as error:
        where = "".join(f"/{part}" for part in error.absolute_path)
        return f"'{where}': {error.message}" if where else str(error.message)
    return None


def weight(found: Mapping[str, Any]) -> int:
    """The total weight of the patterns in a valid schema."""
    return sum(map(patterns.weight, _patterns(dict(_walk("", found)))))


def _parts(found: dict[str, Any]) -> str | None:
    parts = dict(_walk("", found))
    for part in parts.values():
        if isinstance(part, dict) and (fault := _part(part, parts)):
            return fault
    return _bad_pattern(list(_patterns(parts)))


def _part(part: Mapping[str, Any], parts: Mapping[str, Any]) -> str | None:
    if name := next((one for one in _INSTEAD if one in part), None):
        return f"'{name}' is not supported: {_INSTEAD[name]}."
    return _reference(part["$ref"], parts) if "$ref" in part else None


def _reference(to: str, parts: Mapping[str, Any]) -> str | None:
    if not to.startswith("#"):
        return f"'{to}' is outside this schema; references begin with '#'."
    if unquote(to[1:]) not in parts:
        return f"It refers to '{to}', which is no schema in it."
    return None


def _patterns(parts: Mapping[str, Any]) -> Iterator[str]:
    for part in parts.values():
        if isinstance(part, dict):
            yield from (part["pattern"],) if "pattern" in part else ()
            yield from part.get("patternProperties", ())


def _bad_pattern(texts: list[str]) -> str | None:
    left = patterns.HEAVIEST
    for text in texts:
        try:
            left -= patterns.weight(text)
            # Compiling is slow: not for patterns beyond the limit.
            if left >= 0:
                patterns.compile_pattern(text)
        except BadPattern as error:
            return f"The pattern '{text}' can't be used: {error}"
    return TOO_HEAVY if left < 0 else None


def _walk(at: str, part: Any) -> Iterator[tuple[str, Any]]:
    """Each schema in `part` by its JSON pointer."""
    yield at, part
    if not isinstance(part, dict):
        return
    for name in part:
        if name in _ONE:
            yield from _walk(f"{at}/{name}", part[name])
        elif name in _LIST:
            for number, one in enumerate(part[name]):
                yield from _walk(f"{at}/{name}/{number}", one)
        elif name in _OBJECT:
            for key, one in part[name].items():
                escaped = key.replace("~", "~0").replace("/", "~1")
                yield from _walk(f"{at}/{name}/{escaped}", one)


def _endless(found: Mapping[str, Any]) -> str | None:
    """Why even small values take too long; None if they do not."""
    validator = schema.validator(found)
    for value in _PROBES:
        steps = Steps()
        fault = schema.mismatch(validator, value, steps)
        if steps.left < 0 or fault == schema.TOO_DEEP:
            return (
                "Its references form cycles or multiply: no value could be checked "
                "with it."
            )
    return None
