"""What a run injects, and whom it may meet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llm.chaos.faults import fill_parameters
from llm.models.chaos import PROVIDER_FAULTS, ChaosExperiment
from llm.types import AdmittedCall
from valuecanvas.core.targeting.conditions import (
    Attributes,
    Test,
    compile_conditions,
)

# What conditions may ask of a caller: never what a request says of itself, but for the
# endpoint and the model that it calls.
ATTRIBUTES = ("user_id", "tier", "team", "key", "tags", "endpoint", "model")


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """A fault and its audience. Empty sets: all of them."""

    fault: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    percent: float = 100.0
    providers: frozenset[str] = frozenset()
    model_names: frozenset[str] = frozenset()
    endpoints: frozenset[str] = frozenset()
    conditions: tuple[Mapping[str, Any], ...] = ()
    # Made of the others, for each request asks: the conditions' tests, whether the fault
    # is one of a provider's, and whether others than its audience may call the same model
    # of a provider.
    tests: tuple[Test, ...] = field(init=False, compare=False, repr=False)
    is_upstream: bool = field(init=False, compare=False, repr=False)
    limited: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        limited = bool(self.conditions or self.model_names or self.endpoints)
        object.__setattr__(self, "tests", compile_conditions(self.conditions))
        object.__setattr__(self, "is_upstream", self.fault in PROVIDER_FAULTS)
        object.__setattr__(self, "limited", limited)

    def may_meet(self, known: Attributes) -> bool:
        """Whether a call with these attributes, of whatever provider, is of its audience."""
        if self.model_names and known["model"] not in self.model_names:
            return False
        if self.endpoints and known["endpoint"] not in self.endpoints:
            return False
        for test in self.tests:  # noqa: SIM110 - a generator takes longer
            if not test(known):
                return False
        return True

    def concerns(self, provider: str) -> bool:
        """Whether it injects into calls of this provider."""
        return not self.providers or provider in self.providers


def attributes_of(held: AdmittedCall) -> Attributes:
    """The attributes of a call's caller that conditions see."""
    caller = held.plan.principal
    found = {
        "user_id": caller.user_id,
        "tier": caller.tier,
        "team": caller.team,
        "key": caller.key,
        "tags": caller.tags,
        "endpoint": held.call.endpoint,
        "model": held.plan.model.name,
    }
    return Attributes(found)


def write_plan(of: FaultPlan | ChaosExperiment) -> dict[str, Any]:
    """A plan, or an experiment's, as the row of its run has it."""
    return {
        "fault": str(of.fault),
        "parameters": fill_parameters(of.fault, of.parameters),
        "percent": float(of.percent),
        "providers": sorted(of.providers),
        "model_names": sorted(of.model_names),
        "endpoints": sorted(of.endpoints),
        "conditions": list(of.conditions),
    }


def read_plan(written: Mapping[str, Any]) -> FaultPlan:
    """The plan in the row of a run. Raises KeyError, BadCondition for one that is none."""
    fault = written["fault"]
    return FaultPlan(
        fault=fault,
        parameters=fill_parameters(fault, written.get("parameters", {})),
        percent=float(written.get("percent", 100)),
        providers=frozenset(written.get("providers", ())),
        model_names=frozenset(written.get("model_names", ())),
        endpoints=frozenset(written.get("endpoints", ())),
        conditions=tuple(written.get("conditions", ())),
    )
