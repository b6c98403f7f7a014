"""Thresholds of budgets: each is told once a period, to each channel, in its form."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from django_celery_beat.schedulers import DEFAULT_MAX_INTERVAL
from standardwebhooks import Webhook

from billing import tasks
from billing.alerts import alert_events, rule_checks
from billing.ledger import Admitted, Ledger, Limit
from billing.models import AlertEvent, AlertRule, Budget
from tests.admin.rows import make_counter
from tests.billing.alerts.rows import KEY, Receivers, make_calm, make_rule
from tests.core.webhooks.conftest import make_due
from tests.fixtures_billing import make_api_key, make_budget, make_team
from tests.fixtures_ledger import Desk, make_party, make_settle
from valuecanvas.core.db import epoch
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.webhooks import outbox
from valuecanvas.core.webhooks import tasks as webhook_tasks
from valuecanvas.core.webhooks.models import WebhookDelivery
from valuecanvas.core.webhooks.sender import send_due

RUNNERS = 200


def spend(team: str, micros: int) -> None:
    today = timezone.now().date()
    make_counter("t", team, today, spent=micros)


def make_team_budget(receivers: Receivers) -> tuple[Budget, AlertRule]:
    rule = make_rule(*receivers.channels.values())
    return make_budget(make_team("research"), limit="10"), rule


def verify(receivers: Receivers) -> None:
    """Verify the signed ones as receivers do. Raises WebhookVerificationError."""
    for one in receivers.by_kind["standard"].received:
        Webhook(receivers.secret).verify(one.body, one.headers)


def keys_of(rule: AlertRule) -> set[str]:
    rows = AlertEvent.objects.filter(rule=rule)
    return {one.rpartition(":")[2] for one in rows.values_list("dedup_key", flat=True)}


@pytest.mark.django_db
def test_threshold__is_reached__is_told_to_each_kind_in_its_form(
    receivers: Receivers,
) -> None:
    budget, rule = make_team_budget(receivers)
    spend("research", 8_020_000)
    assert rule_checks.check_rules() == 2
    assert rule_checks.check_rules() == 0
    assert send_due() == 6
    today = timezone.now().date()
    text = (
        f"Budget of team 'Research' has reached 80% ($8.02 of $10.00, UTC day {today})."
    )
    key = f"budget:{budget.pk}:{today}:80"
    texts = {one["text"] for one in receivers.bodies("slack")}
    assert f"Warning: {text}" in texts
    [pager] = [one for one in receivers.bodies("pagerduty") if "80%" in one["payload"]["summary"]]  # fmt: skip
    assert pager["routing_key"] == KEY
    assert (pager["event_action"], pager["dedup_key"]) == ("trigger", f"valuecanvas:{rule.pk}:{key}")  # fmt: skip
    assert (pager["payload"]["summary"], pager["payload"]["severity"]) == (text, "warning")  # fmt: skip
    [hook] = [one for one in receivers.bodies("standard") if one["data"]["dedupKey"] == key]  # fmt: skip
    assert (hook["type"], hook["data"]["summary"]) == ("alert.triggered", text)
    assert hook["data"]["details"]["spentUsd"] == "8.020000"
    verify(receivers)


@pytest.mark.django_db
def test_threshold__limit_is_raised_and_passed_again__fires_once_a_period(
    receivers: Receivers,
) -> None:
    budget, rule = make_team_budget(receivers)
    spend("research", 8_000_000)
    rule_checks.check_rules()
    Budget.objects.filter(pk=budget.pk).update(limit_usd=100)
    make_calm()
    rule_checks.check_rules()
    assert alert_events.find_firing().count() == 2
    # Without its budget it is resolved; and with it again, it does not fire again.
    for enabled in (False, True):
        Budget.objects.filter(pk=budget.pk).update(limit_usd=10, enabled=enabled)
        make_calm()
        rule_checks.check_rules()
        assert not alert_events.find_firing().exists()
    assert keys_of(rule) == {"50", "80"}


@pytest.mark.django_db
def test_threshold__period_has_ended__is_resolved_and_tells_so(
    receivers: Receivers,
) -> None:
    make_team_budget(receivers)
    spend("research", 5_000_000)
    rule_checks.check_rules()
    send_due()
    AlertEvent.objects.update(dedup_key="budget:1:2020-01-01:50", once=True)
    make_calm()
    # Today's fires instead.
    assert rule_checks.check_rules() == 1
    make_due()
    assert send_due() == 6
    resolve = receivers.bodies("pagerduty")[1:]
    assert {one["event_action"] for one in resolve} == {"resolve", "trigger"}
    assert "Resolved: " in str([one["text"] for one in receivers.bodies("slack")])
    assert {one["type"] for one in receivers.bodies("standard")} == {"alert.triggered", "alert.resolved"}  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(("limit", "fires"), [("0", 0), ("0.000001", 3)])
def test_threshold__tiny_limits__fire_once_something_is_spent(
    receivers: Receivers, limit: str, fires: int
) -> None:
    make_rule()
    make_budget(make_team("research"), limit=limit)
    assert rule_checks.check_rules() == 0
    if fires:
        spend("research", 1)
    assert rule_checks.check_rules() == fires


def evaluate_until(ended: threading.Event, failures: list[Exception]) -> None:
    """As three workers do, on a connection of its own."""
    try:
        while not ended.is_set():
            rule_checks.check_rules()
            send_due()
        rule_checks.check_rules()
    except Exception as failure:  # noqa: BLE001 - told by the test
        failures.append(failure)
    finally:
        connections.close_all()


async def ask(ledger: Ledger, desk: Desk, limits: tuple[Limit, ...]) -> bool:
    """Admit and settle one request of five cents; whether the budget had space."""
    party = make_party("research")
    answer: Any = await ledger.put(desk.admit(party, limits=limits, estimate=50_000))
    if isinstance(answer, Admitted):
        await ledger.put(make_settle(answer, 50_000))
    return isinstance(answer, Admitted)


async def test_thresholds__200_requests_cross_them_before_three_evaluators__told_once_each(
    pair: tuple[Ledger, Ledger], db_thread: DbThread, receivers: Receivers
) -> None:
    _, rule = await db_thread.run(lambda: make_team_budget(receivers))
    desk = Desk(await db_thread.run(epoch.current))
    ended, failures = threading.Event(), list[Exception]()
    evaluators = [
        threading.Thread(target=evaluate_until, args=[ended, failures])
        for _ in range(3)
    ]
    limits = (Limit("t:research", "day", 10_000_000),)
    for one in evaluators:
        one.start()
    fitted = await asyncio.gather(
        *(ask(pair[number % 2], desk, limits) for number in range(RUNNERS))
    )
    # Refused is who met others' reservations; who asks again gets it.
    while sum(fitted) < RUNNERS:
        fitted.append(await ask(pair[0], desk, limits))
    ended.set()
    for one in evaluators:
        await asyncio.to_thread(one.join)
    await db_thread.run(_send_all)
    assert failures == []
    assert await db_thread.run(lambda: keys_of(rule)) == {"50", "80", "100"}
    for kind in ("slack", "pagerduty", "standard"):
        told = [str(one) for one in receivers.bodies(kind)]
        counts = [sum(f"reached {n}%" in one for one in told) for n in (50, 80, 100)]
        assert counts == [1, 1, 1]
    verify(receivers)


def _send_all() -> None:
    make_due()
    while send_due():
        pass
    assert not WebhookDelivery.objects.exclude(state="delivered").exists()


@pytest.mark.django_db
def test_thresholds__of_every_scope_and_period__name_both() -> None:
    rule = make_rule()
    today = timezone.now().date()
    last = timedelta(days=9)
    make_counter("g", "", today, spent=2_000_000)
    make_counter("m", "gpt", today, spent=2_000_000)
    make_budget(limit="1", period="total", thresholds=[150])
    dates = {"period": "dates", "limit": "1", "thresholds": [200]}
    make_budget(starts_on=today - last, ends_on=today, **dates)
    make_budget(starts_on=today - last, ends_on=today - timedelta(days=1), **dates)
    Budget.objects.create(scope="model", model="gpt", period="day", limit_usd=1, thresholds=[100])  # fmt: skip
    assert rule_checks.check_rules() == 3
    told = " ".join(AlertEvent.objects.values_list("summary", flat=True))
    assert rule.last_error == ""
    assert "Budget of everyone has reached 150% ($2.00 of $1.00, in all)." in told
    assert f"Budget of everyone has reached 200% ($2.00 of $1.00, {today - last} to {today})." in told  # fmt: skip
    assert "Budget of model 'gpt' has reached 100% ($2.00 of $1.00, UTC day" in told


@pytest.mark.django_db
def test_threshold__of_an_api_key__is_called_so() -> None:
    key = make_api_key()[0]
    make_rule()
    make_budget(key, limit="1")
    make_counter("k", key.prefix, timezone.now().date(), spent=500_000)
    assert rule_checks.check_rules() == 1
    assert f"Budget of API key '{key}' has" in AlertEvent.objects.get().summary


def test_schedule__of_alerts_and_webhooks__tells_of_a_threshold_within_a_minute() -> (
    None
):
    """A threshold waits for the next check; its message, if lost, for the next run."""
    seconds = {
        work.task: work.every for work in (*tasks.PERIODIC, *webhook_tasks.PERIODIC)
    }
    waits = [seconds["billing.evaluate_alerts"], seconds[outbox.SEND]]
    # Beat looks at its table this often.
    assert sum(waits) + 2 * DEFAULT_MAX_INTERVAL <= 60
