"""The data for an evaluation as plain values, without models."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from flags.engine.compiled import FlagPlan, Timeline
from valuecanvas.core.targeting import bucketing
from valuecanvas.core.targeting.bucketing import Allocation


@dataclass(frozen=True, slots=True)
class VariantFacts:
    name: str
    value: Any
    effect: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """`share` in hundredths of a percent; an empty `variant`: by the weights."""

    label: str
    conditions: tuple[Mapping[str, Any], ...]
    variant: str
    share: int


@dataclass(frozen=True, slots=True)
class VisitorFacts:
    """Waffle's own targeting: users of the Django site, by primary keys."""

    superusers: bool = False
    staff: bool = False
    authenticated: bool = False
    languages: tuple[str, ...] = ()
    users: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """A pending change, which applies from `at` on, Unix time."""

    at: float
    kind: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class FlagFacts:
    """A flag that is not archived. `share` in hundredths of a percent."""

    pk: int
    name: str
    kind: str
    enabled: bool
    kill: str | None
    everyone: bool | None
    share: int
    sticky: str
    default_variant: str
    off_variant: str
    target_variant: str
    in_gateway: bool
    testing: bool
    user_ids: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    visitors: VisitorFacts = VisitorFacts()
    variants: tuple[VariantFacts, ...] = ()
    rules: tuple[RuleFacts, ...] = ()
    prerequisites: tuple[tuple[str, str], ...] = ()
    allocation: Allocation = ()
    schedule: tuple[ChangeFacts, ...] = ()

    @cached_property
    def timeline(self) -> Timeline:
        """The compiled plans, cached with these facts."""
        times, plans, facts = [], [FlagPlan(self)], self
        for change in sorted(self.schedule, key=lambda one: one.at):
            facts = apply_change(facts, change)
            times.append(change.at)
            # No change touches the rules.
            plans.append(FlagPlan(facts, plans[0].rules))
        return Timeline(tuple(times), tuple(plans))

    def compile(self) -> None:
        """Compile now, in the loading thread, not in a request."""
        _ = self.timeline

    def effect(self, variant: str) -> Mapping[str, Any]:
        """The effect of `variant` in the gateway."""
        for one in self.variants:
            if one.name == variant:
                return one.effect
        return {}


def apply_change(facts: FlagFacts, change: ChangeFacts) -> FlagFacts:
    """The flag after `change`. A killed flag does not change.

    An invalid change is ignored here; the worker marks it as failed.
    """
    if facts.kill is not None:
        return facts
    try:
        return _apply(facts, change)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return facts


def _apply(facts: FlagFacts, change: ChangeFacts) -> FlagFacts:
    if change.kind == "set_percent":
        return replace(facts, share=int(Decimal(change.payload["percent"]) * 100))
    if change.kind == "kill":
        return replace(facts, kill="by schedule")
    if change.kind == "set_weights":
        return _set_weights(facts, change.payload["weights"])
    return replace(facts, enabled=change.kind == "enable")


def _set_weights(facts: FlagFacts, weights: Mapping[str, int]) -> FlagFacts:
    if unknown := weights.keys() - {one.name for one in facts.variants}:
        raise KeyError(*unknown)
    allocation = bucketing.allocate(weights, facts.allocation)
    return replace(facts, allocation=allocation)


def dump_flag(facts: FlagFacts) -> dict[str, Any]:
    """A flag as JSON values."""
    return {**asdict(facts), "allocation": bucketing.dump_allocation(facts.allocation)}


def load_flag(row: Mapping[str, Any]) -> FlagFacts:
    """Read the output of `dump_flag`. Raises KeyError, TypeError, ValueError."""
    rules = [{**one, "conditions": tuple(one["conditions"])} for one in row["rules"]]
    visitors: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in row["visitors"].items()
    }
    return FlagFacts(
        **{
            **row,
            "user_ids": tuple(row["user_ids"]),
            "tiers": tuple(row["tiers"]),
            "visitors": VisitorFacts(**visitors),
            "variants": tuple(VariantFacts(**one) for one in row["variants"]),
            "rules": tuple(RuleFacts(**one) for one in rules),
            "prerequisites": tuple((on, wanted) for on, wanted in row["prerequisites"]),
            "allocation": bucketing.load_allocation(row["allocation"]),
            "schedule": tuple(ChangeFacts(**one) for one in row["schedule"]),
        }
    )
