"""Conditions, rules, changes and events of flags as sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from flags.models import ChangeKind, FlagEvent
from flags.models.event import FlagAction

# Operators to choose from, with their words: the value is at “…”, or follows.
_VERBS: dict[str, str] = {
    "equals": "is",
    "not_equals": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
    "contains": "contains",
    "not_contains": "does not contain",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "matches": "matches the pattern",
    "exists": "is known",
    "semver_eq": "is version …",
    "semver_gt": "is newer than version …",
    "semver_gte": "is version … or newer",
    "semver_lt": "is older than version …",
    "semver_lte": "is version … or older",
}
OPERATORS = tuple(_VERBS.items())
_EVENTS: dict[str, str] = {
    FlagAction.CREATED: "created the flag",
    FlagAction.EDITED: "edited it",
    FlagAction.ENABLED: "turned it on",
    FlagAction.DISABLED: "turned it off",
    FlagAction.KILLED: "killed it",
    FlagAction.REVIVED: "revived it",
    FlagAction.PERCENT: "set the percentage",
    FlagAction.WEIGHTS: "set the weights",
    FlagAction.VARIANTS: "edited the variants",
    FlagAction.RULE_ADDED: "added a rule",
    FlagAction.RULE_EDITED: "edited a rule",
    FlagAction.RULE_REMOVED: "removed a rule",
    FlagAction.RULES_ORDERED: "reordered the rules",
    FlagAction.PREREQUISITES: "set the prerequisites",
    FlagAction.SCHEDULED: "scheduled a change",
    FlagAction.CANCELLED: "cancelled scheduled changes",
    FlagAction.FAILED: "could not apply a scheduled change",
    FlagAction.REVERTED: "reverted it to an earlier state",
    FlagAction.ARCHIVED: "archived it",
    FlagAction.RESTORED: "restored it",
    FlagAction.IMPORTED: "imported it",
}
_LIVE = (FlagAction.ENABLED, FlagAction.REVIVED, FlagAction.PERCENT)
_ALARMS = (FlagAction.KILLED, FlagAction.FAILED)


def share(hundredths: int) -> str:
    return f"{hundredths / 100:g}\u00a0%"


def value(given: object) -> str:
    """The value in words; an ambiguous text in quotes."""
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, list):
        return ", ".join(value(one) for one in given)
    if isinstance(given, str) and (not given or given[0].isdigit() or " " in given):
        return f"“{given}”"
    return str(given)


def condition(one: Mapping[str, Any]) -> str:
    """A condition in words, as 'country is one of SE, NO'."""
    name, operator = one.get("attribute", ""), one.get("operator", "")
    if operator == "exists":
        return f"{name} is {'known' if one.get('value') else 'not known'}"
    verb, operand = _VERBS.get(operator, operator), one.get("value")
    if "…" in verb:
        return f"{name} {verb.replace('…', str(operand))}"
    return f"{name} {verb} {value(operand)}"


def rule(row: Mapping[str, Any]) -> str:
    """A rule of a flag's document as one sentence."""
    conditions = row.get("conditions") or []
    who = "Everybody"
    if conditions:
        who = f"If {' and '.join(condition(one) for one in conditions)}:"
    part = row.get("share")
    only = f"{share(part)} of them get " if part is not None else ""
    if not conditions:
        only = f": {only}" if only else " gets "
    what = f"“{row['variant']}”" if row.get("variant") else "a variant by the weights"
    off = "" if row.get("enabled", True) else " (switched off)"
    gap = " " if conditions else ""
    return f"{who}{gap}{only}{what}{off}."


def variant(row: Mapping[str, Any]) -> str:
    """A variant of a flag's document in a few words."""
    effect = ", ".join(f"{name}: {found}" for name, found in row["effect"].items())
    does = f" ({effect})" if effect else ""
    return f"{row['name']} {share(row['weight'])} = {value(row['value'])}{does}"


def change(kind: str, payload: Mapping[str, Any]) -> str:
    """A scheduled change in a few words."""
    if kind == ChangeKind.SET_PERCENT:
        return f"{float(payload['percent']):g}\u00a0% of users"
    if kind == ChangeKind.SET_WEIGHTS:
        weights: Mapping[str, int] = payload["weights"]
        return "weights " + ", ".join(f"{n} {share(w)}" for n, w in weights.items())
    return {"enable": "turned on", "disable": "turned off"}.get(kind, "killed")


def sentence(event: FlagEvent) -> str:
    """An event in words, to follow the actor's name."""
    return _EVENTS.get(event.action, event.get_action_display().lower())


def tone(event: FlagEvent) -> str:
    """The style of an event: alarm, live or quiet."""
    if event.action in _ALARMS:
        return "alarm"
    return "live" if event.action in _LIVE else "quiet"


def join_rows(rows: Sequence[str]) -> str:
    return "; ".join(rows) or "none"
