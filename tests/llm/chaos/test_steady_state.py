"""What is measured of those whom an experiment may meet."""

import datetime as dt
from decimal import Decimal

import pytest
from django.utils import timezone

from llm.chaos import steady_state
from llm.chaos.plan import FaultPlan
from llm.chaos.steady_state import Limits, Measurement
from tests.admin.rows import make_attempt
from tests.fixtures_billing import make_customer, make_provider, make_route, make_tier
from tests.llm.chaos.rows import make_injected, make_requests

ALL = FaultPlan("error")


def measure(plan: FaultPlan = ALL, seconds: float = 30) -> Measurement:
    now = timezone.now()
    return steady_state.measure(plan, now - dt.timedelta(seconds=seconds), now)


@pytest.mark.django_db
def test_measure__of_all__counts_what_a_provider_was_asked():
    make_requests(18, model="m", latency_ms=100, provider_cost_usd=Decimal("0.01"))
    bad = make_requests(2, model="m", failed=1, latency_ms=900)
    make_requests(5, model="m", cached=True, source="cache")
    make_requests(5, model="m", status="correction")
    make_requests(5, model="m", ago_s=40)
    [client] = make_requests(1, model="m", failed=1)
    make_attempt(request_id=client.pk, outcome="client")
    make_injected(bad[0], "a-run")
    make_injected(bad[0], "a-run")
    make_attempt(request_id=bad[1].pk, provider_cost_usd=Decimal("0.02"))
    found = measure()
    assert found == Measurement(20, 1, 1, 900, Decimal("0.01"), 1)
    assert (found.error_percent, found.availability) == (5, 95)
    assert found.enough


@pytest.mark.django_db
def test_measure__without_traffic__has_no_figures():
    found = measure()
    assert found == Measurement()
    assert found.availability is None
    assert steady_state.share_of_requests(ALL, timezone.now()) == 1


@pytest.mark.django_db
def test_measure__of_a_provider__is_of_the_models_with_a_route_there():
    provider = make_provider()
    first, second = (make_route(provider=provider) for _ in range(2))
    for model in (first.model_id, second.model_id, "another"):
        make_requests(1, model=model, failed=1)
    plan = FaultPlan("error", providers=frozenset([provider.key]))
    assert measure(plan).errors == 2
    narrow = FaultPlan(
        "error",
        providers=frozenset([provider.key]),
        model_names=frozenset([first.model_id, "another"]),
    )
    assert measure(narrow).errors == 1


@pytest.mark.django_db
def test_measure__of_conditions__is_of_those_for_whom_they_hold():
    tier = make_tier()
    ours = make_customer(tier=tier)
    make_requests(3, model="m", customer=ours, tags=["a", "b"])
    make_requests(9, model="m")

    def among(attribute: str, operator: str, value: str) -> int:
        one = {"attribute": attribute, "operator": operator, "value": value}
        return measure(FaultPlan("error", conditions=(one,))).requests

    assert among("tier", "equals", tier.key) == 3
    assert among("user_id", "equals", ours.user_id) == 3
    assert among("tags", "contains", "b") == 3
    assert among("model", "equals", "m") == 12
    assert among("team", "equals", "x") == 0
    one = {"attribute": "tier", "operator": "equals", "value": tier.key}
    plan = FaultPlan("error", conditions=(one,))
    assert steady_state.share_of_requests(plan, timezone.now()) == 0.25


@pytest.mark.django_db
def test_measure_now__with_thin_traffic__looks_further_back():
    make_requests(15, model="m", ago_s=5)
    make_requests(15, model="m", ago_s=100)
    assert steady_state.measure_now(ALL, timezone.now()).requests == 30
    make_requests(5, model="m", ago_s=5)
    assert steady_state.measure_now(ALL, timezone.now()).requests == 20


LIMITS = Limits(Decimal(5), 1000, Decimal(99), Decimal("0.01"))
CASES = (
    (Measurement(100, 5, 1, 1000, Decimal("0.01")), [True] * 4),
    (Measurement(100, 6, 1, 1000, Decimal("0.01")), [False, True, True, True]),
    (Measurement(100, 5, 2, 1001, Decimal("0.02")), [True, False, False, False]),
    (Measurement(), [None] * 4),
    (Measurement(1, 1, 0, 9000, Decimal(1)), [None] * 4),
    (Measurement(2, 2, 2, 9000, Decimal(1)), [False, False, None, None]),
)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_judge__of_a_measurement__tells_which_limits_hold(case):
    found, holds = CASES[case]
    rows = steady_state.judge(found, LIMITS)
    assert [one.holds for one in rows] == holds
    assert len(steady_state.breaches(found, LIMITS)) == holds.count(False)


def test_judge__without_limits__says_nothing():
    assert steady_state.judge(Measurement(100, 100, 100), Limits()) == []
