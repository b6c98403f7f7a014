"""Changed fields of a flag before and after, in words."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flags.wording import words
from valuecanvas.core.json_numbers import differ

Describe = Callable[[Any], str]
# Characters of a value on a line of a terminal.
SHORT = 100
_TITLES: dict[str, str] = {
    "percent": "Percentage",
    "enabled": "Turned on",
    "killed": "Killed",
    "archived": "Archived",
    "everyone": "Everyone",
    "variants": "Variants",
    "rules": "Rules",
    "prerequisites": "Prerequisites",
    "default_variant": "Default variant",
    "off_variant": "Off variant",
    "target_variant": "Variant of the targets",
    "user_ids": "Target users",
    "tiers": "Target tiers",
    "users": "Users of this site",
    "groups": "Groups of this site",
    "superusers": "Superusers",
    "staff": "Staff",
    "authenticated": "Logged-in users",
    "languages": "Languages",
    "testing": "Testers may switch it",
    "note": "Note",
    "owner": "Owner",
    "purpose": "Purpose",
    "tags": "Tags",
    "expires_on": "Expires on",
    "in_gateway": "Evaluated in the gateway",
    "sticky": "Bucketed by",
}


class Changed(NamedTuple):
    """One field of a flag, before and after."""

    title: str
    before: str
    after: str


def changed_fields(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[Changed]:
    """The fields that differ between two documents of a flag."""
    return [
        Changed(title, _describe(name, before[name]), _describe(name, after[name]))
        for name, title in _TITLES.items()
        if name in before and name in after and differ(before[name], after[name])
    ]


def change_lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The changed fields for a terminal, as 'percentage 5 % -> 10 %'."""
    return [
        f"{one.title[0].lower()}{one.title[1:]} {shorten(one.before)} -> {shorten(one.after)}"
        for one in changed_fields(before, after)
    ]


def shorten(text: str) -> str:
    """`text` in one line, cut to SHORT characters."""
    plain = " ".join(text.split())
    return plain if len(plain) <= SHORT else f"{plain[: SHORT - 2]} …"


def _describe(name: str, value: Any) -> str:
    if name in _WORDS:
        return _WORDS[name](value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nobody"
    return "–" if value in (None, "") else str(value)


def _everyone(value: bool | None) -> str:
    return "by the rules" if value is None else ("yes" if value else "no")


def _percent(value: float | None) -> str:
    return "nobody" if value is None else f"{value:g}\u00a0%"


_WORDS: Mapping[str, Describe] = {
    "percent": _percent,
    "everyone": _everyone,
    "variants": lambda rows: words.join_rows([words.variant(row) for row in rows]),
    "rules": lambda rows: " ".join(words.rule(row) for row in rows) or "none",
    "prerequisites": lambda rows: words.join_rows(
        [f"{row['flag']} is {row['variant']}" for row in rows]
    ),
    "tags": lambda rows: ", ".join(rows) or "none",
}
