"""Size limits of flags: each process and each event holds whole flags."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.core.exceptions import ValidationError

from valuecanvas.core.targeting.conditions import TOO_MANY_STEPS, steps
from valuecanvas.core.targeting.patterns import MOST_STEPS_TOGETHER

# Field of a flag's document -> its largest number of items.
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
# Characters of texts.
WORDS = {"note": 10_000, "languages": 1_000}
DESCRIPTION = 2_000
# Bytes as JSON.
VALUE_BYTES = 65_536
FLAG_BYTES = 1_000_000
# Pending changes of one flag.
PENDING = 500


def check(changes: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Check the fields of a change. Raises ValidationError by field.

    An unchanged field may be larger: it may be older than its limit.
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
    """Check the size of the whole flag. Raises ValidationError if it grew too large."""
    work = _steps(after)
    if work > MOST_STEPS_TOGETHER and work > _steps(before):
        raise ValidationError({"rules": TOO_MANY_STEPS})
    size = _size(after)
    if size > FLAG_BYTES and size > _size(before):
        raise ValidationError(
            f"A flag has at most {FLAG_BYTES:,} bytes as JSON; this would be {size:,}. "
            "Use fewer users and values, or smaller values of variants."
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
