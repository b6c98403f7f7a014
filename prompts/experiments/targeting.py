"""Targeting of experiments: tiers, and conditions on attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Condition:
    """`attribute` of the caller compared with `value` by `operator`."""

    attribute: str
    operator: str
    value: Any = None
    holds: Test = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "holds", self._test())

    @property
    def row(self) -> dict[str, Any]:
        """The condition as a JSON object."""
        return {
            "attribute": self.attribute,
            "operator": self.operator,
            "value": self.value,
        }

    def _test(self) -> Test:
        try:
            return compile_conditions([self.row])[0]
        except BadCondition as error:
            # Saved conditions are valid; restored ones may not be.
            log.warning("experiments.condition_ignored", reason=str(error))
            return lambda context: False


def check(rows: object) -> None:
    """Check conditions. Raises ValidationError naming the first wrong one."""
    fault = check_conditions(rows, most=MOST_CONDITIONS)
    if fault:
        raise ValidationError(fault)


def load_conditions(rows: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Conditions from their saved `rows`."""
    return tuple(
        Condition(row["attribute"], row["operator"], row.get("value")) for row in rows
    )


def takes_part(
    tiers: Sequence[str] | frozenset[str],
    conditions: Sequence[Condition],
    context: Mapping[str, object],
) -> bool:
    """Whether the experiment applies to this caller.

    `context` has the caller's attributes, its tier among them. No tiers: every tier.
    """
    if tiers and context.get("tier") not in tiers:
        return False
    return all(one.holds(context) for one in conditions)
