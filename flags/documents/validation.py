"""Checks of the values and effects of variants."""

import math
from collections.abc import Callable

import orjson

from flags.documents import limits
from valuecanvas.core.json_numbers import REMEDY, too_large
from valuecanvas.core.parameters import RESERVED, wrong

EFFECTS: dict[str, type] = {"prompt_label": str, "model": str, "parameters": dict}


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "string": (lambda value: isinstance(value, str), "a text"),
    "number": (_is_number, "a number"),
    "object": (lambda value: isinstance(value, dict | list), "an object or a list"),
}


def check_value(kind: str, value: object) -> str:
    """The error in a variant's value, or ''."""
    fits, wanted = _KINDS[kind]
    if not fits(value):
        return f"The value of a {kind} flag is {wanted}."
    return _check_size(value)


def check_effect(effect: object) -> str:
    """The error in a variant's effect, or ''."""
    if not isinstance(effect, dict):
        return "An effect is an object."
    for name, value in effect.items():
        wanted = EFFECTS.get(name)
        if wanted is None:
            return f"'{name}' is not known here: {', '.join(EFFECTS)} are."
        if not isinstance(value, wanted) or not value:
            return f"'{name}' is {'a text' if wanted is str else 'an object'}."
    parameters = effect.get("parameters", {})
    if taken := sorted(RESERVED & parameters.keys()):
        return f"'{taken[0]}' cannot be set by a flag."
    return wrong(parameters) or _check_size(effect)


def _check_size(value: object) -> str:
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        return "This cannot be kept as JSON."
    if too_large(value):
        return REMEDY
    most = limits.VALUE_BYTES
    if size > most:
        return f"At most {most:,} bytes as JSON; these are {size:,}."
    return ""
