"""The variants, rules and prerequisites of a flag, to and from JSON."""

from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ValidationError

from flags.models import Flag, Prerequisite, Rule, Variant
from valuecanvas.core.db import locks
from valuecanvas.core.json_numbers import differ
from valuecanvas.core.targeting import bucketing

PARTS = ("variants", "rules", "prerequisites")
_VARIANT: dict[str, Any] = {
    "name": "",
    "value": None,
    "weight": 0,
    "effect": {},
    "description": "",
}
_RULE: dict[str, Any] = {
    "name": "",
    "conditions": [],
    "variant": "",
    "share": None,
    "enabled": True,
}
_PREREQUISITE = {"flag": "", "variant": "on"}

Rows = list[dict[str, Any]]


def state(flag: Flag) -> dict[str, Rows]:
    """The rows of each part; weights and shares in hundredths of a percent."""
    return {
        "variants": [_row(one, _VARIANT) for one in _in_order(flag.variants)],
        "rules": [_row(one, _RULE) for one in flag.rules.all()],
        "prerequisites": [
            {"flag": one.on.name, "variant": one.variant}
            for one in _in_order(flag.prerequisites)
        ],
    }


def _in_order(related: Any) -> list[Any]:
    """The rows by id; sorted here to use prefetched rows."""
    return sorted(related.all(), key=lambda one: one.pk)


def _row(one: Variant | Rule, blank: Mapping[str, Any]) -> dict[str, Any]:
    return {name: getattr(one, name) for name in blank}


def apply(flag: Flag, changes: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Replace the parts that `changes` names. Raises ValidationError by field."""
    for name, (blank, replace) in _REPLACED.items():
        if name in changes:
            wanted = _rows(name, changes[name], blank)
            if differ(wanted, before[name]):
                replace(flag, wanted)
    if "variants" in changes:
        kept = changes.get("allocation", flag.allocation)
        weigh(flag, {one.name: one.weight for one in flag.variants.all()}, kept)


def weigh(flag: Flag, weights: Mapping[str, int], before: Any) -> None:
    """Set `flag.allocation` by `weights`, nearest to `before`. Raises ValidationError."""
    try:
        given = bucketing.load_allocation(before or [])
        made = bucketing.allocate({k: v for k, v in weights.items() if v}, given)
    except (TypeError, ValueError) as error:
        raise ValidationError({"variants": f"{error}"}) from error
    flag.allocation = bucketing.dump_allocation(made)


def _rows(part: str, given: Any, blank: Mapping[str, Any]) -> Rows:
    """`given` with defaults. Raises ValidationError for unknown fields."""
    if not isinstance(given, list):
        raise ValidationError({part: "This is a list."})
    rows = []
    for one in given:
        if not isinstance(one, Mapping):
            raise ValidationError({part: "Each is an object."})
        if unknown := sorted(set(map(str, one)) - blank.keys()):
            raise ValidationError({part: f"'{unknown[0]}' is not known here."})
        rows.append({**blank, **one})
    return rows


def _replace_variants(flag: Flag, rows: Rows) -> None:
    names = [row["name"] for row in rows]
    if len(set(map(str, names))) != len(names):
        raise ValidationError({"variants": "Two variants have the same name."})
    flag.variants.exclude(name__in=names).delete()
    known = {one.name: one for one in flag.variants.all()}
    for row in rows:
        one = known.get(row["name"]) or Variant(flag=flag)
        _save(one, row, "variants")


def _replace_rules(flag: Flag, rows: Rows) -> None:
    known = list(flag.rules.order_by("order"))
    for order, row in enumerate(rows):
        one = known[order] if order < len(known) else Rule(flag=flag)
        _save(one, {**row, "order": order}, "rules")
    flag.rules.filter(pk__in=[one.pk for one in known[len(rows) :]]).delete()


def _replace_prerequisites(flag: Flag, rows: Rows) -> None:
    # Concurrent edits must not make two flags depend on each other.
    locks.hold("flags.prerequisites")
    flag.prerequisites.all().delete()
    for row in rows:
        on = Flag.objects.filter(name=row["flag"], archived=False).first()
        if on is None:
            raise ValidationError(
                {"prerequisites": f"There is no flag '{row['flag']}'."}
            )
        one = Prerequisite(flag=flag, on=on)
        _save(one, {"variant": row["variant"]}, "prerequisites")


def _save(
    one: Variant | Rule | Prerequisite, row: Mapping[str, Any], part: str
) -> None:
    for name, value in row.items():
        setattr(one, name, value)
    try:
        one.full_clean(validate_constraints=part == "prerequisites")
    except ValidationError as error:
        label = row.get("name") or row.get("order", "")
        texts = [f"{label}: {text}".lstrip(": ") for text in error.messages]
        raise ValidationError({part: texts}) from error
    one.save()


_REPLACED: dict[str, tuple[Mapping[str, Any], Callable[[Flag, Rows], None]]] = {
    "variants": (_VARIANT, _replace_variants),
    "rules": (_RULE, _replace_rules),
    "prerequisites": (_PREREQUISITE, _replace_prerequisites),
}
