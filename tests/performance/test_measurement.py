"""The figures of a span, by the minute, hour and day, from real rows."""

import datetime as dt
from decimal import Decimal

import pytest
from django.db import DatabaseError

from billing.models import RefusalCount
from billing.usage import rollup
from tests.admin.job_rows import make_job
from tests.admin.rows import make_attempt, make_refusal, make_usage
from tests.fixtures_billing import make_customer
from valuecanvas.performance import measurement
from valuecanvas.performance.measurement import SPANS, floor, measure

pytestmark = pytest.mark.django_db(transaction=True)
NOW = dt.datetime(2026, 11, 18, 15, 42, 31, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = measurement.MINUTE, measurement.HOUR, measurement.DAY


@pytest.fixture
def traffic() -> None:
    """Of the last minutes: 100 answers, 10 from the cache; 7 that failed, 4 of them by us."""
    ann = make_customer("ann")
    for number in range(100):
        make_usage(
            ann, provider="east" if number % 4 else "west", cached=number < 10,
            latency_ms=10 * (number + 1), cost_usd=Decimal("0.001"),
            created_at=NOW - dt.timedelta(seconds=number % 30),
        )  # fmt: skip
    make_usage(ann, status="error", cost_usd=0, created_at=NOW - 20 * MINUTE)
    make_usage(ann, status="error", cost_usd=0, created_at=NOW - 20 * MINUTE)
    make_usage(ann, status="error", cost_usd=0, created_at=NOW - 20 * MINUTE)
    make_usage(ann, status="interrupted", cost_usd=0, created_at=NOW - 3 * HOUR)
    refused = make_usage(ann, status="error", cost_usd=0, created_at=NOW)
    make_attempt(request_id=refused.pk, outcome="client")
    make_usage(ann, status="client_gone", cost_usd=0, created_at=NOW)
    make_usage(ann, status="correction", cost_usd=Decimal("-0.05"), created_at=NOW)
    # Before any span.
    make_usage(ann, status="error", created_at=NOW - 40 * DAY)
    rollup.catch_up()


@pytest.fixture
def refusals() -> None:
    ann = make_customer("ann")
    for code, status in (("overloaded", 503), ("insufficient_quota", 429)):
        make_refusal(ann, code=code, status=status, created_at=NOW - MINUTE)
        RefusalCount.objects.create(
            minute=floor(NOW - MINUTE, MINUTE), customer_id=ann.pk, key="", code=code,
            endpoint="chat", count=9,
        )  # fmt: skip
    make_refusal(ann, code="overloaded", status=503, created_at=NOW - 2 * DAY)


@pytest.mark.usefixtures("traffic")
@pytest.mark.parametrize(
    ("name", "first", "steps", "errors", "per_s"),
    [
        ("hour", NOW.replace(hour=14, minute=43, second=0), 60, 3, 102 / 60),
        ("day", NOW.replace(day=17, hour=16, minute=0, second=0), 24, 4, 105 / 3600),
        ("week", NOW.replace(day=11, hour=16, minute=0, second=0), 168, 4, 105 / 3600),
        ("month", dt.datetime(2026, 10, 20, tzinfo=dt.UTC), 30, 4, 105 / 3600),
    ],
)
def test_measure__span__has_its_steps_and_sums(
    name: str, first: dt.datetime, steps: int, errors: int, per_s: float
) -> None:
    found = measure(SPANS[name], NOW)
    assert [*found.steps][0] == first
    assert len(found.steps) == steps
    assert found.total.errors == errors
    assert found.total.usage.requests == found.asked == 102 + errors
    assert found.total.usage.cached == 10
    assert found.total.usage.cost_usd == Decimal("0.05")
    assert found.busiest_per_s == pytest.approx(per_s)
    assert found.error_share == errors / (102 + errors)
    assert found.cached_share == 10 / (102 + errors)
    # Within 2 %, of answers only.
    assert found.total.usage.latency_ms == pytest.approx((500, 950, 990), rel=0.03)
    # The sums of the steps are the whole.
    requests = sum(one.usage.requests for one in found.steps.values())
    assert requests == found.total.usage.requests
    assert sum(one.errors for one in found.steps.values()) == errors
    assert found.providers["west"].total() == 25
    assert sum(one.total() for one in found.providers.values()) == requests
    assert (found.until is None) == (name == "hour")


@pytest.mark.usefixtures("refusals")
def test_measure__refusals__are_told_by_whose_fault_they_were() -> None:
    day, week = measure(SPANS["day"], NOW), measure(SPANS["week"], NOW)
    assert (day.total.refused_by_us, day.total.refused, day.overloaded) == (10, 10, 10)
    assert (week.total.refused_by_us, week.overloaded) == (11, 11)
    # Refused with 5xx only: all that was asked for failed.
    assert day.error_share == 1.0
    step = day.steps[NOW.replace(minute=0, second=0)]
    assert (step.refused_by_us, step.refused) == (10, 10)


def test_measure__jobs__are_counted_by_how_they_ended() -> None:
    for state in ("succeeded", "succeeded", "dead"):
        make_job(state, finished_at=NOW - MINUTE)
    found = measure(SPANS["hour"], NOW)
    assert {state: one.total() for state, one in found.jobs.items()} == {
        "succeeded": 2,
        "dead": 1,
    }


def test_measure__nothing__has_no_shares() -> None:
    found = measure(SPANS["week"], NOW)
    assert (found.asked, found.error_share, found.cached_share) == (0, None, None)
    assert (found.busiest_per_s, found.total.usage.latency_ms) == (0, (None,) * 3)


def test_measure__too_slow__raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "TIMEOUT_MS", 1)
    monkeypatch.setattr(measurement, "_FAILED", "SELECT now(), pg_sleep(1)")
    with pytest.raises(DatabaseError):
        measure(SPANS["hour"], NOW)
