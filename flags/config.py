"""Flags as a section of the configuration snapshot."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q

from flags.engine import flag_facts as plain
from flags.engine.evaluation import FlagSet, flag_set
from flags.engine.flag_facts import (
    ChangeFacts,
    FlagFacts,
    RuleFacts,
    VariantFacts,
    VisitorFacts,
)
from flags.models import (
    ChangeState,
    Flag,
    Prerequisite,
    Rule,
    ScheduledChange,
    Variant,
)
from valuecanvas.core.targeting import bucketing
from valuecanvas.core.targeting.bucketing import BUCKETS

__all__ = ["FlagSet", "dump_flags", "flag_set", "load_flags", "restore_flags"]

Keys = Iterable[str] | None
# Fields that the plain values have as the rows have them.
_SAME = (
    "name", "kind", "enabled", "everyone", "share", "sticky", "default_variant",
    "off_variant", "target_variant", "in_gateway", "testing",
)  # fmt: skip
KIND = Flag.config_kind


def load_flags(keys: Keys = None) -> dict[str, FlagFacts]:
    """Flags that are not archived, by id; with `keys`, only those of them that exist."""
    chosen = Q() if keys is None else Q(pk__in=list(keys))
    rows = list(Flag.objects.filter(chosen, archived=False))
    if not rows:
        return {}
    # Without `keys` load whole tables: a list of thousands of ids is slower.
    part = Q() if keys is None else Q(flag__in=rows)
    parts = _Parts(part)
    found = {str(row.pk): _facts(row, parts) for row in rows}
    for one in found.values():
        one.compile()
    return found


def dump_flags(section: Mapping[str, FlagFacts]) -> dict[str, Any]:
    """Flags for the disk snapshot."""
    return {key: plain.dump_flag(one) for key, one in section.items()}


def restore_flags(section: Mapping[str, Any]) -> dict[str, FlagFacts]:
    """Read the output of `dump_flags`. Raises KeyError, TypeError or ValueError."""
    return {key: plain.load_flag(row) for key, row in section.items()}


class _Parts:
    """Rows of the other tables by flag."""

    def __init__(self, chosen: Q) -> None:
        self.variants = _grouped(
            (flag, VariantFacts(*rest))
            for flag, *rest in Variant.objects.filter(chosen)
            .order_by("pk")
            .values_list("flag_id", "name", "value", "effect")
        )
        self.rules = _grouped(_rule(row) for row in _rules(chosen))
        self.prerequisites = _grouped(
            (flag, (on, variant))
            for flag, on, variant in Prerequisite.objects.filter(chosen)
            .order_by("pk")
            .values_list("flag_id", "on__name", "variant")
        )
        self.schedule = _grouped(
            (flag, ChangeFacts(at.timestamp(), kind, payload))
            for flag, at, kind, payload in ScheduledChange.objects.filter(
                chosen, state=ChangeState.PENDING
            )
            .order_by("at", "pk")
            .values_list("flag_id", "at", "kind", "payload")
        )
        self.users = _grouped(_members(Flag.users.through, "user_id", chosen))
        self.groups = _grouped(_members(Flag.groups.through, "group_id", chosen))


def _grouped(pairs: Iterable[tuple[int, Any]]) -> Mapping[int, tuple[Any, ...]]:
    lists: defaultdict[int, list[Any]] = defaultdict(list)
    for flag, part in pairs:
        lists[flag].append(part)
    found = {flag: tuple(some) for flag, some in lists.items()}
    return defaultdict(tuple, found)


def _rules(chosen: Q) -> Iterable[tuple[Any, ...]]:
    return (
        Rule.objects.filter(chosen, enabled=True)
        .order_by("flag_id", "order")
        .values_list("flag_id", "order", "name", "conditions", "variant", "share")
    )


def _rule(row: tuple[Any, ...]) -> tuple[int, RuleFacts]:
    flag, order, name, conditions, variant, share = row
    share = BUCKETS if share is None else share
    label = name or f"{order + 1}"
    return flag, RuleFacts(label, tuple(conditions), variant, share)


def _members(through: Any, column: str, chosen: Q) -> Iterable[tuple[int, int]]:
    found: Iterable[tuple[int, int]] = (
        through.objects.filter(chosen).order_by("pk").values_list("flag_id", column)
    )
    return found


def _facts(row: Flag, parts: _Parts) -> FlagFacts:
    languages = [one.strip() for one in row.languages.split(",")]
    return FlagFacts(
        pk=row.pk,
        **{name: getattr(row, name) for name in _SAME},
        kill=row.killed_reason if row.killed else None,
        user_ids=tuple(row.user_ids),
        tiers=tuple(row.tiers),
        visitors=VisitorFacts(
            superusers=row.superusers,
            staff=row.staff,
            authenticated=row.authenticated,
            languages=tuple(one for one in languages if one),
            users=parts.users[row.pk],
            groups=parts.groups[row.pk],
        ),
        variants=parts.variants[row.pk],
        rules=parts.rules[row.pk],
        prerequisites=parts.prerequisites[row.pk],
        allocation=bucketing.load_allocation(row.allocation),
        schedule=parts.schedule[row.pk],
    )
