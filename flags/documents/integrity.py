"""Checks of a whole flag: names exist, no cycles."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError

from flags.engine.compiled import MOST_DEPTH
from flags.models import Flag, Prerequisite


def check(flag: Flag) -> None:
    """Check references to variants and flags. Raises ValidationError by field."""
    flag.full_clean(validate_unique=True)
    known = variants(flag)
    for field in ("default_variant", "off_variant", "target_variant"):
        _known(known, [getattr(flag, field)], field)
    _known(known, (rule.variant for rule in flag.rules.all()), "rules")
    for one in flag.dependants.select_related("flag"):
        if one.variant not in known:
            text = f"'{one.flag.name}' needs this flag's variant '{one.variant}'."
            raise ValidationError({"variants": text})
    _check_prerequisites(flag)


def variants(flag: Flag) -> set[str]:
    """The names of the flag's variants."""
    implied = {"on", "off"} if flag.kind == "boolean" else set()
    return implied | set(flag.variants.values_list("name", flat=True))


def _known(known: set[str], names: Iterable[str], field: str) -> None:
    for name in names:
        if name and name not in known:
            raise ValidationError({field: f"There is no variant '{name}'."})


def _check_prerequisites(flag: Flag) -> None:
    for one in flag.prerequisites.select_related("on"):
        _known(variants(one.on), [one.variant], "prerequisites")
    needs: dict[int, list[int]] = {}
    for a, b in Prerequisite.objects.values_list("flag_id", "on_id"):
        needs.setdefault(a, []).append(b)
    if _depth(needs, flag.pk, ()) > MOST_DEPTH:
        raise ValidationError({"prerequisites": f"A chain of at most {MOST_DEPTH}."})


def _depth(needs: dict[int, list[int]], flag: int, above: tuple[int, ...]) -> int:
    """The length of the longest chain of prerequisites from `flag`."""
    if flag in above:
        raise ValidationError({"prerequisites": "This flag would depend on itself."})
    below = [_depth(needs, one, (*above, flag)) for one in needs.get(flag, [])]
    return 1 + max(below) if below else 0
