"""What the values and effects of variants may be."""

import math
from collections.abc import Callable

import orjson

from valuecanvas.core.parameters import RESERVED

MOST_BYTES = 65_536
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
    """What is wrong with a variant's value, for people; empty: nothing."""
    fits, wanted = _KINDS[kind]
    if not fits(value):
        return f"The value of a {kind} flag is {wanted}."
    return _check_size(value)


def check_effect(effect: object) -> str:
    """What is wrong with a variant's effect, for people; empty: nothing."""
    if not isinstance(effect, dict):
        return "An effect is an object."
    for name, value in effect.items():
        wanted = EFFECTS.get(name)
        if wanted is None:
            return f"'{name}' is not known here: {', '.join(EFFECTS)} are."
        if not isinstance(value, wanted) or not value:
            return f"'{name}' is {'a text' if wanted is str else 'an object'}."
    if taken := sorted(RESERVED & effect.get("parameters", {}).keys()):
        return f"'{taken[0]}' is not for a flag to set."
    return _check_size(effect)


def _check_size(value: object) -> str:
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        return "This cannot be kept as JSON."
    return "" if size <= MOST_BYTES else f"At most {MOST_BYTES} bytes of JSON."
