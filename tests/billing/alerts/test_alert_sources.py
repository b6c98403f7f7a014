"""What each kind of rule finds, from rows as the gateway writes them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string
from prometheus_client import REGISTRY
from redis import Redis

from billing.alerts import rule_checks
from billing.models import AlertEvent, AlertKind, AlertRule, Refusal
from llm.breaker.board import redis_key
from llm.breaker.types import Name
from tests.admin.rows import (
    make_attempt,
    make_backup,
    make_ledger_check,
    make_override,
    make_usage,
)
from tests.billing.alerts.rows import make_alert, make_rule
from tests.fixtures_billing import make_price, make_provider, make_route
from valuecanvas.core.ids import uuid7
from valuecanvas.site import backup_alerts

pytestmark = pytest.mark.django_db


def found_by(rule: AlertRule) -> list[str]:
    """The summaries of what a rule's source finds."""
    source = import_string(settings.ALERT_SOURCES[rule.kind])
    return [one.summary for one in source(rule)]


def ago(**span: float) -> dict[str, Any]:
    return {"created_at": timezone.now() - timedelta(**span)}


def test_sources__of_each_kind__are_there_and_find_nothing_at_first() -> None:
    assert set(settings.ALERT_SOURCES) == {*AlertKind.values}
    for kind in AlertKind.values:
        assert found_by(make_rule(kind=kind)) == []


# -- spend ----------------------------------------------------------------------


def spend_before(*usd: str) -> None:
    for day, amount in enumerate(usd, start=1):
        make_usage(cost_usd=Decimal(amount), **ago(days=day, minutes=5))


def test_spend__three_times_the_usual__is_unusual() -> None:
    rule = make_rule(kind=AlertKind.SPEND, factor=3, least_usd=10)
    spend_before("4", "4", "4")
    make_usage(cost_usd=Decimal("11.99"), **ago(minutes=5))
    assert found_by(rule) == []
    make_usage(cost_usd=Decimal("0.01"), **ago(minutes=5))
    [summary] = found_by(rule)
    assert summary == (
        "$12.00 was spent in the last hour; in the same hour of the last 7 days it was "
        "$4.00."
    )


@pytest.mark.parametrize(
    ("before", "least", "now"), [(["4", "4"], 1, "99"), (["1", "1", "1"], 100, "99"), ([], 1, "99")]
)  # fmt: skip
def test_spend__too_little_or_too_new__is_not_unusual(
    before: list[str], least: int, now: str
) -> None:
    rule = make_rule(kind=AlertKind.SPEND, least_usd=least)
    spend_before(*before)
    make_usage(cost_usd=Decimal(now))
    assert found_by(rule) == []


# -- errors -----------------------------------------------------------------------


def test_errors__over_the_rules_share__are_told_with_their_figures() -> None:
    rule = make_rule(kind=AlertKind.ERRORS, percent=20, least_requests=10)
    for number in range(8):
        make_usage(model="a" if number % 2 else "b")
    make_usage(status="error", model="a")
    assert found_by(rule) == []
    make_usage(status="interrupted", model="a")
    assert found_by(rule) == ["20.0% of the requests have failed in the last 10 minutes (2 of 10)."]  # fmt: skip
    rule.model, rule.least_requests = "a", 6
    assert found_by(rule) == ["33.3% of the requests of model 'a' have failed in the last 10 minutes (2 of 6)."]  # fmt: skip
    rule.model = "b"
    assert found_by(rule) == []


def test_errors__of_the_caller_or_of_before__do_not_count() -> None:
    rule = make_rule(kind=AlertKind.ERRORS, percent=1, least_requests=1)
    refused = make_usage(status="error")
    make_attempt(request_id=refused.pk, outcome="client")
    make_usage(status="client_gone")
    make_usage(status="error", **ago(minutes=11))
    make_usage()
    assert found_by(rule) == []


def test_errors__at_one_provider__are_its_calls() -> None:
    rule = make_rule(
        kind=AlertKind.ERRORS, percent=50, least_requests=4, provider="some-provider"
    )
    for _ in range(2):
        make_attempt(outcome="failure")
        make_usage()
    make_attempt(outcome="client")
    make_attempt(provider="other", outcome="failure")
    assert found_by(rule) == ["50.0% of the requests at 'some-provider' have failed in the last 10 minutes (2 of 4)."]  # fmt: skip


# -- breakers -----------------------------------------------------------------------


def open_breaker(server: Redis, reason: str) -> Name:
    """A breaker as the script leaves it when it opens."""
    route = make_route()
    name = Name(route.provider_id, route.upstream_model)
    key = redis_key(settings.REDIS_PREFIX, name)
    server.hset(
        key, mapping={"state": "open", "reason": reason, "until": 2 * 10**12, "gen": 1}
    )
    return name


def test_breaker__open__is_told_with_its_reason(server: Redis) -> None:
    name = open_breaker(server, "6 of 10 calls failed")
    make_route()
    assert found_by(make_rule(kind=AlertKind.BREAKER)) == [
        f"The circuit breaker of '{name.model}' at {name.provider} is open: "
        "6 of 10 calls failed."
    ]
    assert found_by(make_rule(kind=AlertKind.KEY)) == []
    make_override(provider=make_provider(), upstream_model="")
    assert len(found_by(make_rule(kind=AlertKind.BREAKER))) == 1


def test_breaker__open_since_the_key_is_refused__is_told_once_a_provider(
    server: Redis,
) -> None:
    name = open_breaker(server, "auth")
    assert found_by(make_rule(kind=AlertKind.KEY)) == [
        f"The provider {name.provider} refuses our API key: enter a valid one."
    ]
    assert found_by(make_rule(kind=AlertKind.BREAKER)) == []


def test_breaker__redis_does_not_answer__keeps_its_alerts(
    settings: Any, server: Redis
) -> None:
    rule = make_rule(kind=AlertKind.BREAKER)
    event = make_alert(rule)
    open_breaker(server, "some")
    settings.REDIS_URL = "redis://127.0.0.1:1"
    rule_checks.check_rules()
    rule.refresh_from_db()
    event.refresh_from_db()
    assert rule.last_error.startswith("UnreadableReport")
    assert event.state == "firing"


# -- prices, ledger, backups ----------------------------------------------------------


def test_unpriced__asked_for_just_now__is_told_until_it_has_a_price() -> None:
    rule = make_rule(kind=AlertKind.UNPRICED)
    make_usage(marks=["unpriced"])
    make_usage(marks=["unpriced"], provider="old", **ago(minutes=16))
    make_refusal("dear")
    make_refusal("other", code="quota_exceeded")
    assert sorted(found_by(rule)) == [
        "'some-model' at some-provider has no price: requests are billed at a stand-in "
        "price.",
        "The model 'dear' has no price: its requests are refused.",
    ]
    make_price("some-provider", "some-model")
    assert len(found_by(rule)) == 1


def make_refusal(model: str, code: str = "model_unpriced") -> None:
    Refusal.objects.create(id=uuid7(), created_at=timezone.now(), endpoint="chat", model=model, step="resolve", status=403, code=code, message="No.")  # fmt: skip


def test_drift__of_the_newest_check__is_told() -> None:
    rule = make_rule(kind=AlertKind.DRIFT)
    findings = [
        {"name": "spent", "checked": 4, "drifted": 3, "rows": []},
        {"name": "used", "checked": 4, "drifted": 0, "rows": []},
    ]
    make_ledger_check(ok=False, findings=findings)
    assert found_by(rule) == ["The ledger does not balance: 3 rows break spent."]
    make_ledger_check()
    assert found_by(rule) == []


def test_backup__missing__is_told_unless_the_installation_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rule = make_rule(kind=AlertKind.BACKUP)
    assert found_by(rule) == []
    monkeypatch.setattr(backup_alerts, "_is_new", lambda: False)
    assert found_by(rule) == ["There is no verified backup of the last 26 hours: no verified backup."]  # fmt: skip
    make_backup()
    assert found_by(rule) == []


# -- metrics --------------------------------------------------------------------------


def test_metrics__of_alerts__count_what_fires_and_what_cannot_be_checked() -> None:
    make_alert(make_rule(kind=AlertKind.DRIFT), severity="critical")
    make_alert(state="resolved")
    make_rule(last_error="ValueError: x")
    labels = {"kind": "ledger_drift", "severity": "critical"}
    assert REGISTRY.get_sample_value("valuecanvas_alerts_firing", labels) == 1
    assert REGISTRY.get_sample_value("valuecanvas_alert_rules_failing") == 1
    assert AlertEvent.objects.filter(state="firing").count() == 1
