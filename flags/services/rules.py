"""Add, edit, remove and reorder rules; set prerequisites."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from django.core.exceptions import ValidationError

from flags.models import Flag, Rule
from flags.models.event import FlagAction
from flags.services.change import ChangedBy, FlagChange, flag_change


def add_rule(
    flag: Flag,
    rule: Mapping[str, Any],
    *,
    at: int | None = None,
    **by: Unpack[ChangedBy],
) -> Flag:
    """Insert `rule` (name, conditions, variant, share, enabled) at position `at`, 0 first;
    by default at the end.
    """
    with flag_change(flag, FlagAction.RULE_ADDED, **by) as change:
        rules = list(change.before["rules"])
        rules.insert(len(rules) if at is None else at, dict(rule))
        change.apply({"rules": rules})
    return change.flag


def edit_rule(
    flag: Flag, rule: Rule, changes: Mapping[str, Any], **by: Unpack[ChangedBy]
) -> Flag:
    """Apply `changes` to the rule."""
    with flag_change(flag, FlagAction.RULE_EDITED, **by) as change:
        rules = list(change.before["rules"])
        place = _place(change, rule)
        rules[place] = {**rules[place], **changes}
        change.apply({"rules": rules})
    return change.flag


def remove_rule(flag: Flag, rule: Rule, **by: Unpack[ChangedBy]) -> Flag:
    """Remove the rule; the rules after it move up."""
    with flag_change(flag, FlagAction.RULE_REMOVED, **by) as change:
        _place(change, rule)
        change.flag.rules.filter(pk=rule.pk).delete()
        _number(list(change.flag.rules.order_by("order")))
    return change.flag


def reorder_rules(flag: Flag, order: Sequence[int], **by: Unpack[ChangedBy]) -> Flag:
    """Reorder the rules: `order` has the ids of all of them."""
    with flag_change(flag, FlagAction.RULES_ORDERED, **by) as change:
        known = {rule.pk: rule for rule in change.flag.rules.all()}
        if sorted(known) != sorted(order):
            raise ValidationError({"rules": "Name each rule of the flag once."})
        _number([known[pk] for pk in order])
    return change.flag


def set_prerequisites(
    flag: Flag, prerequisites: Sequence[Mapping[str, Any]], **by: Unpack[ChangedBy]
) -> Flag:
    """Replace the prerequisites: `flag` is a name, `variant` what it must give."""
    with flag_change(flag, FlagAction.PREREQUISITES, **by) as change:
        change.apply({"prerequisites": list(prerequisites)})
    return change.flag


def _place(change: FlagChange, rule: Rule) -> int:
    ids = list(change.flag.rules.order_by("order").values_list("pk", flat=True))
    if rule.pk not in ids:
        raise ValidationError({"rules": "The flag has no such rule any more."})
    return ids.index(rule.pk)


def _number(rules: Sequence[Rule]) -> None:
    for order, rule in enumerate(rules):
        if rule.order != order:
            rule.order = order
            rule.save()
