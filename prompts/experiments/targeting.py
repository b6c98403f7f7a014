"""Targeting of experiments: tiers, and conditions on attributes."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.core.exceptions import ValidationError

from valuecanvas.core.targeting.conditions import (
    BadCondition,
    Test,
    check_conditions,
    compile_conditions,
)

MOST_CONDITIONS = 20
log = structlog.get_logger("experiments")


def check(rows: object) -> None:
    """Check conditions. Raises ValidationError naming the first wrong one."""
    fault = check_conditions(rows, most=MOST_CONDITIONS)
    if fault:
        raise ValidationError(fault)


def load_conditions(rows: Sequence[Mapping[str, Any]]) -> tuple[Test, ...]:
    """Compile saved conditions; nobody matches any that are not valid."""
    try:
        return compile_conditions(rows)
    except BadCondition as error:
        # Saved conditions are valid; restored ones may not be.
        log.warning("experiments.condition_ignored", reason=str(error))
        return (lambda context: False,)


def takes_part(
    tiers: Sequence[str] | frozenset[str],
    conditions: Sequence[Test],
    context: Mapping[str, object],
) -> bool:
    """Whether the experiment applies to this caller.

    `context` has the caller's attributes, its tier among them. No tiers: every tier.
    """
    if tiers and context.get("tier") not in tiers:
        return False
    return all(holds(context) for holds in conditions)
