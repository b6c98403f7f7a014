"""Turn flags on and off, kill them, set percentage, weights and variants."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Unpack

from django.core.exceptions import ValidationError
from django.utils import timezone

from flags.documents import document_parts
from flags.documents.document import percent as checked_percent
from flags.models import Flag
from flags.models.event import FlagAction
from flags.services.change import ChangedBy, FlagChange, flag_change


def enable(flag: Flag, **by: Unpack[ChangedBy]) -> Flag:
    """Turn the flag on: its rules and percentage apply."""
    with flag_change(flag, FlagAction.ENABLED, **by) as change:
        change.flag.enabled = True
        # Waffle's "off for everyone" would still switch it off.
        if change.flag.everyone is False:
            change.flag.everyone = None
    return change.flag


def disable(flag: Flag, **by: Unpack[ChangedBy]) -> Flag:
    """Turn the flag off: everyone gets the off variant."""
    with flag_change(flag, FlagAction.DISABLED, **by, checked=False) as change:
        change.flag.enabled = False
    return change.flag


def kill(flag: Flag, **by: Unpack[ChangedBy]) -> Flag:
    """Kill the flag, whatever its revision: everyone gets the off variant.

    Its scheduled changes are cancelled. Until it is revived, it does not change.
    """
    by["expected"] = None
    with flag_change(flag, FlagAction.KILLED, checked=False, **by) as change:
        if not change.flag.killed:
            change.flag.killed_at = timezone.now()
            change.flag.killed_by = by["actor"].name
            change.flag.killed_reason = by.get("reason", "")
            change.cancel_pending()
    return change.flag


def revive(flag: Flag, **by: Unpack[ChangedBy]) -> Flag:
    """Undo `kill`: the flag works as before."""
    with flag_change(flag, FlagAction.REVIVED, **by) as change:
        change.flag.killed_at = None
        change.flag.killed_by = change.flag.killed_reason = ""
    return change.flag


def set_percent(
    flag: Flag, percent: Decimal | float | str | None, **by: Unpack[ChangedBy]
) -> Flag:
    """Give the flag to `percent` of the users; with a larger one nobody loses it.

    Scheduled percentages are cancelled.
    """
    with flag_change(flag, FlagAction.PERCENT, **by) as change:
        put_percent(change, percent)
        change.cancel_pending("set_percent")
    return change.flag


def set_weights(
    flag: Flag, weights: Mapping[str, int], **by: Unpack[ChangedBy]
) -> Flag:
    """Set weights in hundredths of a percent by variant; missing variants get 0.

    As few users as possible change variants. Scheduled weights are cancelled.
    """
    with flag_change(flag, FlagAction.WEIGHTS, **by) as change:
        put_weights(change, weights)
        change.cancel_pending("set_weights")
    return change.flag


def set_variants(
    flag: Flag, variants: Sequence[Mapping[str, Any]], **by: Unpack[ChangedBy]
) -> Flag:
    """Replace the variants: name, value, weight, effect, description of each."""
    with flag_change(flag, FlagAction.VARIANTS, **by) as change:
        change.apply({"variants": list(variants)})
    return change.flag


def put_percent(change: FlagChange, percent: Decimal | float | str | None) -> None:
    """Set the percentage in an open change. Raises ValidationError."""
    change.flag.percent = None if percent is None else checked_percent(percent)


def put_weights(change: FlagChange, weights: Mapping[str, int]) -> None:
    """Set the weights in an open change. Raises ValidationError."""
    flag = change.flag
    rows = list(flag.variants.all())
    check_weights(weights, {one.name for one in rows})
    document_parts.weigh(flag, weights, flag.allocation)
    for one in rows:
        if one.weight != (weight := weights.get(one.name, 0)):
            one.weight = weight
            one.save()


def check_weights(weights: object, known: set[str], field: str = "variants") -> None:
    """Check weights of variants. Raises ValidationError for `field`."""
    if not isinstance(weights, Mapping):
        raise ValidationError({field: "Weights are an object: variant, weight."})
    if unknown := sorted(set(map(str, weights)) - known):
        raise ValidationError({field: f"There is no variant '{unknown[0]}'."})
    for weight in weights.values():
        if isinstance(weight, bool) or not isinstance(weight, int):
            raise ValidationError({field: "A weight is a whole number."})
