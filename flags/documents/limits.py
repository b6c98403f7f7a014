"""How much a flag may hold: all of it is in every process, and twice in each event."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.core.exceptions import ValidationError

from valuecanvas.core.targeting.conditions import TOO_MANY_STEPS, steps
from valuecanvas.core.targeting.patterns import MOST_STEPS_TOGETHER

# Field of a flag's document -> how many it may have.
COUNTS = {
    "variants": 50,
    "rules": 100,
    "prerequisites": 20,
    "user_ids": 1_000,
    "users": 1_000,
    "groups": 100,
    "tiers": 100,
    "tags": 50,
}
_NOUNS = {"user_ids": "user ids"}
# Characters of texts for people.
WORDS = {"note": 10_000, "languages": 1_000}
DESCRIPTION = 2_000
# As JSON.
VALUE_BYTES = 65_536
FLAG_BYTES = 1_000_000
# Changes of one flag that are still to come.
PENDING = 500


def check(changes: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """What a change makes of the flag. Raises ValidationError by field.

    A field that stays as it is may be larger: limits come after flags.
    """
    changed = {name: v for name, v in changes.items() if v != before.get(name)}
    for name, most in COUNTS.items():
        found = changed.get(name)
        if isinstance(found, list) and len(found) > most:
            noun = _NOUNS.get(name, name)
            raise ValidationError(
                {name: f"At most {most:,} {noun}; these are {len(found):,}."}
            )
    for name, most in WORDS.items():
        _refuse_long(name, f"The {name}", changed.get(name), most)
    variants = changed.get("variants")
    for one in variants if isinstance(variants, list) else ():
        if isinstance(one, Mapping):
            what = f"{one.get('name')}: the description"
            _refuse_long("variants", what, one.get("description"), DESCRIPTION)


def check_whole(after: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Raises ValidationError for a flag that has grown too large altogether."""
    work = _steps(after)
    if work > MOST_STEPS_TOGETHER and work > _steps(before):
        raise ValidationError({"rules": TOO_MANY_STEPS})
    size = _size(after)
    if size > FLAG_BYTES and size > _size(before):
        raise ValidationError(
            f"A flag has at most {FLAG_BYTES:,} bytes as JSON; this would be {size:,}. "
            "Name fewer users and values, or make the variants' values smaller."
        )


def _refuse_long(field: str, what: str, text: object, most: int) -> None:
    if isinstance(text, str) and len(text) > most:
        raise ValidationError(
            {field: f"{what} has at most {most:,} characters; this has {len(text):,}."}
        )


def _steps(document: Mapping[str, Any]) -> int:
    rules = document.get("rules")
    found = (rule.get("conditions") for rule in rules or () if isinstance(rule, dict))
    return sum(steps(one) for one in found if isinstance(one, list))


def _size(document: Mapping[str, Any]) -> int:
    return len(orjson.dumps(document))
