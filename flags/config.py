"""Flags as a section of the configuration snapshot."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
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
            Variant.objects.filter(chosen).order_by("pk"),
            VariantFacts, "name", "value", "effect",
        )  # fmt: skip
        self.rules = _grouped(
            Rule.objects.filter(chosen, enabled=True).order_by("flag_id", "order"),
            _rule, "order", "name", "conditions", "variant", "share",
        )  # fmt: skip
        self.prerequisites = _grouped(
            Prerequisite.objects.filter(chosen).order_by("pk"),
            lambda *found: found, "on__name", "variant",
        )  # fmt: skip
        pending = ScheduledChange.objects.filter(chosen, state=ChangeState.PENDING)
        self.schedule = _grouped(
            pending.order_by("at", "pk"), _change, "at", "kind", "payload"
        )
        users, groups = Flag.users.through.objects, Flag.groups.through.objects
        self.users = _grouped(users.filter(chosen).order_by("pk"), int, "user_id")
        self.groups = _grouped(groups.filter(chosen).order_by("pk"), int, "group_id")


def _grouped(
    rows: Any, make: Callable[..., Any], *columns: str
) -> Mapping[int, tuple[Any, ...]]:
    """What `make` makes of the columns of each row, by flag."""
    lists: defaultdict[int, list[Any]] = defaultdict(list)
    for flag, *values in rows.values_list("flag_id", *columns):
        lists[flag].append(make(*values))
    found = {flag: tuple(some) for flag, some in lists.items()}
    return defaultdict(tuple, found)


def _rule(
    order: int, name: str, conditions: list[Any], variant: str, share: int | None
) -> RuleFacts:
    share = BUCKETS if share is None else share
    return RuleFacts(name or f"{order + 1}", tuple(conditions), variant, share)


def _change(at: dt.datetime, kind: str, payload: Mapping[str, Any]) -> ChangeFacts:
    return ChangeFacts(at.timestamp(), kind, payload)


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
