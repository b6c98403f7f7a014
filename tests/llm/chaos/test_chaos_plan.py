"""Plans of runs: what is injected, and into whose calls."""

from types import SimpleNamespace
from typing import Any

import pytest

from llm.chaos.plan import (
    ATTRIBUTES,
    FaultPlan,
    attributes_of,
    read_plan,
    write_plan,
)
from llm.models.chaos import ChaosExperiment


def held(**more: Any) -> Any:
    caller = {
        "user_id": "ann",
        "tier": "free",
        "team": "red",
        "key": "vc-1",
        "tags": ("web",),
    }
    facts = {"endpoint": "chat", "model": "small", **more}
    return SimpleNamespace(
        call=SimpleNamespace(endpoint=facts["endpoint"]),
        plan=SimpleNamespace(
            principal=SimpleNamespace(
                **{**caller, **{k: v for k, v in more.items() if k in caller}}
            ),
            model=SimpleNamespace(name=facts["model"]),
        ),
    )


def where(attribute: str, value: Any, operator: str = "equals") -> FaultPlan:
    one = {"attribute": attribute, "operator": operator, "value": value}
    return FaultPlan("timeout", conditions=(one,))


def test_plan__written_and_read__is_the_same():
    experiment = ChaosExperiment(
        name="one",
        fault="error",
        parameters={"status": 502},
        percent="12.50",
        providers=["b", "a"],
        model_names=["small"],
        endpoints=["chat"],
        conditions=[{"attribute": "tier", "operator": "equals", "value": "free"}],
    )
    plan = read_plan(write_plan(experiment))
    assert plan == read_plan(write_plan(plan))
    assert plan.providers == {"a", "b"}
    assert (plan.percent, plan.parameters) == (12.5, {"status": 502})


@pytest.mark.parametrize(
    ("plan", "limited"),
    [
        (FaultPlan("timeout"), False),
        (FaultPlan("timeout", percent=1.0, providers=frozenset({"a"})), False),
        (FaultPlan("timeout", model_names=frozenset({"small"})), True),
        (FaultPlan("timeout", endpoints=frozenset({"chat"})), True),
        (where("tier", "free"), True),
    ],
)
def test_audience__that_shares_a_breaker_with_others__is_limited(plan, limited):
    assert plan.limited is limited


@pytest.mark.parametrize(
    ("plan", "met"),
    [
        (FaultPlan("timeout"), True),
        (FaultPlan("timeout", model_names=frozenset({"small"})), True),
        (FaultPlan("timeout", model_names=frozenset({"big"})), False),
        (FaultPlan("timeout", endpoints=frozenset({"embeddings"})), False),
        (where("user_id", "ann"), True),
        (where("user_id", "bob"), False),
        (where("tier", ["free", "pro"], "in"), True),
        (where("team", "blue"), False),
        (where("key", "vc-", "starts_with"), True),
        (where("tags", "web", "contains"), True),
        (where("tags", "batch", "contains"), False),
        (where("endpoint", "chat"), True),
        (where("model", "small"), True),
        (where("country", "SE"), False),
    ],
)
def test_call__by_its_attributes__is_met_or_not(plan, met):
    assert plan.may_meet(attributes_of(held())) is met


def test_attributes__of_a_call__are_those_that_are_named():
    assert tuple(attributes_of(held())) == ATTRIBUTES


def test_provider__not_named__is_not_concerned():
    assert FaultPlan("timeout").concerns("a")
    named = FaultPlan("timeout", providers=frozenset({"a"}))
    assert (named.concerns("a"), named.concerns("b")) == (True, False)
