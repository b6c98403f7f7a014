"""JSON Schema for values that anybody may send: nothing in it takes forever.

Python's patterns backtrack, and jsonschema compares the items of a list each with each.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

# A pattern's parts: escapes, classes, beginnings of groups, counts, single characters.
_PARTS = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?:P?<\w+>|<?[:=!]))?|\{[\d,]*\}|.", re.S
)
# What a pattern may take in the worst case: about a quarter of a second.
MOST_STEPS = 20_000_000


def runs_away(pattern: str) -> bool:
    """Does it repeat a group that holds a choice, such as (a+)+ or (a|a)*?

    There are exponentially many ways to try those: one value could hold up the
    process for hours.
    """
    choices = [False]
    parts: list[str] = _PARTS.findall(pattern)
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        if part.startswith("("):
            choices.append(False)
        elif part == ")" and len(choices) > 1:
            inner = choices.pop()
            if inner and following[:1] in ("*", "+", "{"):
                return True
            choices[-1] |= inner
        elif part in ("|", "?") or _repeats(part):
            choices[-1] = True
    return False


def _repeats(part: str) -> bool:
    return part in ("*", "+") or (part.startswith("{") and "," in part)


def _takes_long(pattern: str, text: str) -> bool:
    """Each repeat may end at each character, and the match begin at each."""
    places = sum(map(_repeats, _PARTS.findall(pattern)))
    places += not pattern.startswith("^")
    return bool(len(text) ** places > MOST_STEPS)


def _pattern(
    validator: Any, pattern: str, instance: object, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(instance, str):
        return
    if _takes_long(pattern, instance):
        yield _too_long(pattern)
    elif not re.search(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any,
    patterns: Mapping[str, Any],
    instance: object,
    schema: Mapping[str, Any],
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    longest = max(instance, key=len, default="")
    slow = next((one for one in patterns if _takes_long(one, longest)), None)
    if slow is not None:
        yield _too_long(slow)
        return
    usual = Draft202012Validator.VALIDATORS["patternProperties"]
    yield from usual(validator, patterns, instance, schema)


def _too_long(pattern: str) -> ValidationError:
    return ValidationError(f"It is too long to be compared with {pattern!r}.")


def _unique_items(
    validator: Any, wanted: bool, instance: object, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not wanted or not isinstance(instance, list):
        return
    if len({json.dumps(one, sort_keys=True) for one in instance}) < len(instance):
        yield ValidationError(f"{instance!r} has non-unique elements")


Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "uniqueItems": _unique_items,
    },
)
