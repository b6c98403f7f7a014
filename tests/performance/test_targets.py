"""Targets are met, missed, or not judged; `manage.py slo` says so."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from billing.usage.reports import UsageFigures
from tests.admin.rows import make_refusal, make_usage
from tests.fixtures_billing import make_customer
from valuecanvas.performance import measurement
from valuecanvas.performance.measurement import SPANS, Performance, StepFigures
from valuecanvas.performance.targets import FEW, TargetState, judge

GOOD = UsageFigures(
    requests=1000, ok=990, cached=400, cost_usd=Decimal(4), latency_ms=(900, 4000, 9000)
)
Figures = Callable[..., Performance]


def performance(usage: UsageFigures = GOOD, **changes: Any) -> Performance:
    total = StepFigures(usage, errors=10)
    now = timezone.now()
    made = Performance(SPANS["hour"], now, None, total, {}, {}, {}, 6000, 0)
    return replace(made, **changes)


def states(found: Performance) -> dict[str, str]:
    return {one.name: str(one.state) for one in judge(found)}


def test_targets__all_good__are_met_in_the_order_of_the_table() -> None:
    assert states(performance()) == dict.fromkeys(
        ["p95", "p99", "error_rate", "throughput", "cache_hits", "cost"], "met"
    )
    shown = {one.name: one.found for one in judge(performance())}
    assert shown == pytest.approx(
        {"p95": 4, "p99": 9, "error_rate": 1, "throughput": 100, "cache_hits": 40, "cost": 0.004}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "setting", "exactly"),
    [
        ("p95", "TARGET_P95_S", 4),
        ("p99", "TARGET_P99_S", 9),
        ("error_rate", "TARGET_ERROR_PERCENT", 1),
        ("cache_hits", "TARGET_CACHE_HIT_PERCENT", 40),
        ("cost", "TARGET_COST_USD", 0.004),
    ],
)
def test_target__no_better_than_it__is_missed(
    name: str, setting: str, exactly: float, settings: Settings
) -> None:
    setattr(settings, setting, exactly)
    missed = {one for one, state in states(performance()).items() if state == "missed"}
    assert missed == {name}


def test_targets__few_requests__are_not_judged() -> None:
    found = judge(performance(replace(GOOD, requests=20)))
    assert {one.state for one in found if one.name != "throughput"} == {TargetState.NOT_JUDGED}  # fmt: skip
    assert found[0].note == FEW
    assert found[0].found == 4


def test_throughput__below_the_target__is_missed_only_under_more_load() -> None:
    quiet, full = performance(busiest=60), performance(busiest=60, overloaded=3)
    assert states(quiet)["throughput"] == "not judged"
    assert states(full)["throughput"] == "missed"
    (told,) = [one for one in judge(full) if one.name == "throughput"]
    assert (told.title, told.found) == ("Throughput, busiest minute", 1)
    assert told.note == "3 requests were refused for overload"


def run(**options: Any) -> str:
    out = StringIO()
    call_command("slo", stdout=out, **options)
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_slo__missed_target__fails_only_a_check(settings: Settings) -> None:
    ann = make_customer("ann")
    for number in range(101):
        make_usage(ann, latency_ms=100 + number, cost_usd=Decimal("0.02"))
    make_refusal(ann)
    text = run(span="hour")
    lines = {line[:28].strip(): line for line in text.splitlines()}
    assert lines["Last hour: 101 requests"]
    assert lines["Latency, 95th percentile"].split()[3:6] == ["below", "5", "s"]  # fmt: skip
    assert lines["Latency, 95th percentile"].endswith(" s             met")
    assert lines["Cost per request"].endswith("0.02 USD            missed")
    assert "nobody asked for more" in lines["Throughput, busiest minute"]
    with pytest.raises(SystemExit, match="1"):
        run(span="hour", check=True)
    settings.TARGET_COST_USD, settings.TARGET_CACHE_HIT_PERCENT = 1, 0
    with pytest.raises(SystemExit):  # 0 % is not above 0 %
        run(span="hour", check=True)
    make_usage(ann, cached=True)
    found = json.loads(run(span="hour", check=True, format="json"))
    assert (found["span"], found["requests"], found["until"]) == ("hour", 102, None)
    assert dt.datetime.fromisoformat(found["at"])
    assert [one["state"] for one in found["targets"]] == ["met", "met", "met", "not judged", "met", "met"]  # fmt: skip
    assert found["targets"][0]["unit"] == "s"
    assert "no figure" in run(span="month")


def test_slo__database_away__says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(span: object) -> None:
        raise OperationalError("the server is gone")

    monkeypatch.setattr(measurement, "measure", away)
    with pytest.raises(CommandError, match="server is gone Try a shorter --span"):
        run()
