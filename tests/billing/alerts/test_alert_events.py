"""An alert from its first condition to its end, and what is told of it."""

import signal
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from pytest_django import Settings

from billing.accounting import purge
from billing.alerts import alert_events, channels, messages, rule_checks
from billing.alerts.rules import ensure_rules
from billing.alerts.types import Condition
from billing.models import AlertChannel, AlertEvent, AlertKind, AlertRule, AlertState
from llm.privacy.erasure import erase
from tests.billing.alerts.rows import (
    Receivers,
    make_alert,
    make_calm,
    make_channel,
    make_rule,
)
from tests.core.webhooks.conftest import make_due
from tests.core.webhooks.test_webhook_processes import start_sender
from tests.fixtures_billing import make_api_key, make_budget, make_customer
from valuecanvas.core.webhooks.models import (
    DeliveryState,
    WebhookDelivery,
    WebhookEndpoint,
)
from valuecanvas.core.webhooks.sender import send_due

HELD = Condition("some", "Something holds.", link="/admin/")


def hold(rule: AlertRule, *conditions: Condition) -> int:
    """As a check that finds these; the number of those that are sent."""
    alert_events.apply(rule, conditions)
    return alert_events.notify()


@pytest.mark.django_db
def test_alert__condition_ceases_for_a_moment__is_one_alert(
    receivers: Receivers,
) -> None:
    rule = make_rule(*receivers.channels.values())
    assert [hold(rule, HELD), hold(rule), hold(rule, HELD)] == [1, 0, 0]
    assert alert_events.find_firing().count() == 1
    assert WebhookDelivery.objects.count() == 3


@pytest.mark.django_db
def test_alert__resolved__closes_the_same_incident_once(receivers: Receivers) -> None:
    rule = make_rule(*receivers.channels.values())
    hold(rule, HELD)
    send_due()
    make_calm()
    hold(rule)
    hold(rule)
    send_due()
    trigger, resolve = receivers.bodies("pagerduty")
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert [one["text"] for one in receivers.bodies("slack")] == ["Warning: Something holds.", "Resolved: Something holds."]  # fmt: skip
    assert [one["type"] for one in receivers.bodies("standard")] == [messages.TRIGGERED, messages.RESOLVED]  # fmt: skip
    assert hold(rule, HELD) == 1


@pytest.mark.django_db
def test_alert__resolved_before_it_was_sent__is_told_to_nobody(
    receivers: Receivers,
) -> None:
    rule = make_rule(*receivers.channels.values())
    hold(rule, HELD)
    make_calm()
    hold(rule)
    assert send_due() == 0
    states = set(WebhookDelivery.objects.values_list("state", "last_error"))
    assert states == {(DeliveryState.FAILED, alert_events.UNSENT)}


@pytest.mark.django_db
def test_alert__of_a_muted_rule__is_listed_and_sent_once_it_is_not_muted(
    receivers: Receivers,
) -> None:
    later = timezone.now() + timedelta(hours=1)
    rule = make_rule(*receivers.channels.values(), muted_until=later)
    other = Condition("other", "Ends while it is muted.")
    assert hold(rule, HELD, other) == 0
    assert alert_events.find_firing().count() == 2
    make_calm()
    hold(rule, HELD)
    assert WebhookDelivery.objects.count() == 0
    AlertRule.objects.update(muted_until=timezone.now() - timedelta(seconds=1))
    assert hold(rule, HELD) == 1
    assert WebhookDelivery.objects.count() == 3


@pytest.mark.django_db
def test_alert__channel_is_off__is_not_sent_there(receivers: Receivers) -> None:
    AlertChannel.objects.filter(name__startswith="slack").update(enabled=False)
    hold(make_rule(*receivers.channels.values()), HELD)
    assert send_due() == 2
    assert receivers.bodies("slack") == []


@pytest.mark.django_db
def test_alert__long_key_and_summary__are_cut_without_a_clash() -> None:
    rule = make_rule()
    hold(rule, *(Condition("k" * 300 + end, "s" * 900) for end in "ab"))
    hold(rule, *(Condition("k" * 300 + end, "s" * 900) for end in "ab"))
    keys = [len(one.dedup_key) for one in AlertEvent.objects.all()]
    assert keys == [200, 200]


@pytest.mark.django_db
def test_alerts__very_many_at_once__are_opened_in_parts() -> None:
    rule = make_rule()
    many = [Condition(str(n), "Many.") for n in range(alert_events.MOST_NEW + 5)]
    assert [hold(rule, *many), hold(rule, *many)] == [alert_events.MOST_NEW, 5]


@pytest.mark.django_db
def test_claim__of_an_alert_that_another_has_claimed__queues_nothing(
    receivers: Receivers,
) -> None:
    event = make_alert(make_rule(*receivers.channels.values()))
    assert [alert_events._notify(event), alert_events._notify(event)] == [True, False]
    alert_events.resolve(event)
    alert_events.resolve(event)
    assert WebhookDelivery.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_sender__killed_between_claim_and_send__another_sends_it_once(
    receivers: Receivers, settings: Settings
) -> None:
    hold(make_rule(receivers.channels["pagerduty"]), HELD)
    env = {"PAGERDUTY_URL": settings.PAGERDUTY_URL}
    killed = start_sender(VALUECANVAS_FAILPOINT="webhook_claimed", **env)
    assert killed.wait() == -signal.SIGKILL
    row = WebhookDelivery.objects.get()
    assert (row.state, row.attempts) == (DeliveryState.WAITING, 1)
    make_due()
    assert start_sender(**env).wait() == 0
    assert len(receivers.bodies("pagerduty")) == 1


# -- rules ----------------------------------------------------------------------


@pytest.mark.django_db
def test_rule__cannot_be_checked__keeps_its_alerts_and_stops_no_other(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    broken, fine = make_rule(kind=AlertKind.DRIFT), make_rule(kind=AlertKind.SPEND)
    here = "tests.billing.alerts.test_alert_events"
    settings.ALERT_SOURCES = {"ledger_drift": f"{here}.fail", "spend_anomaly": f"{here}.find"}  # fmt: skip
    kept = make_alert(broken)
    make_calm()
    assert rule_checks.check_rules() == 2
    kept.refresh_from_db()
    assert kept.state == AlertState.FIRING
    broken.refresh_from_db()
    assert broken.last_error == "ValueError: no such thing"
    assert AlertEvent.objects.filter(rule=fine).count() == 1
    settings.ALERT_SOURCES["ledger_drift"] = f"{here}.find"
    rule_checks.check_rules()
    broken.refresh_from_db()
    kept.refresh_from_db()
    assert (broken.last_error, kept.state) == ("", AlertState.RESOLVED)


def fail(rule: AlertRule) -> list[Condition]:
    raise ValueError("no such thing")


def find(rule: AlertRule) -> list[Condition]:
    return [HELD]


@pytest.mark.django_db
def test_rule__disabled__resolves_its_alerts() -> None:
    alert = make_alert(make_rule(enabled=False))
    make_calm()
    rule_checks.check_rules()
    alert.refresh_from_db()
    assert alert.state == AlertState.RESOLVED


@pytest.mark.django_db
def test_rules__of_an_installation__are_made_once_and_edits_stay() -> None:
    assert len(ensure_rules()) == len(AlertKind)
    AlertRule.objects.filter(kind=AlertKind.BREAKER).update(name="Ours", enabled=False)
    assert ensure_rules() == []
    AlertRule.objects.filter(kind=AlertKind.DRIFT).delete()
    assert ensure_rules() == ["Ledger drift"]


@pytest.mark.django_db
def test_purge__old_alerts__go_once_they_are_resolved(settings: Settings) -> None:
    settings.ALERTS_KEEP_DAYS = 10
    old, young, live = (make_alert() for _ in range(3))
    for one, days in ((old, 11), (young, 9)):
        at = timezone.now() - timedelta(days=days)
        rows = AlertEvent.objects.filter(pk=one.pk)
        rows.update(state=AlertState.RESOLVED, resolved_at=at)
    assert purge.purge()["alerts"] == 1
    assert {*AlertEvent.objects.values_list("pk", flat=True)} == {young.pk, live.pk}


@pytest.mark.django_db
def test_erasure__of_a_customer__takes_its_name_out_of_alerts(
    receivers: Receivers,
) -> None:
    customer = make_customer("anna@example", suspended=True)
    key = make_api_key(customer, name="anna's")[0]
    rule = make_rule(*receivers.channels.values())
    for budget in (make_budget(customer), make_budget(key), make_budget(make_customer("bob"))):  # fmt: skip
        name = f"budget:{budget.pk}:2026-11-01:50"
        hold(rule, Condition(name, f"Budget of {budget.target}.", once=True))
    erase(customer.pk)
    summaries = [*AlertEvent.objects.values_list("summary", flat=True)]
    assert summaries == ["Budget of bob.", alert_events.ERASED, alert_events.ERASED]
    bodies = WebhookDelivery.objects.values_list("body", flat=True)
    assert (len(bodies), "anna" in str([*bodies])) == (3, False)


# -- channels and messages --------------------------------------------------------


@pytest.mark.django_db
def test_message__text_with_markup__is_escaped_for_slack_and_has_its_link(
    settings: Settings,
) -> None:
    settings.CONSOLE_URL = "https://console.example"
    event = make_alert(summary="A <!channel> & b", link="/admin/x/")
    body = messages.alert_body("slack", event)
    text = "Error: A &lt;!channel&gt; &amp; b"
    assert body["text"] == text
    link = "<https://console.example/admin/x/|Open in the console>"
    assert body["blocks"][0]["text"]["text"] == f"{text}\n{link}"
    pager = messages.alert_body("pagerduty", event)
    assert pager["client_url"] == "https://console.example/admin/x/"
    assert len(pager["dedup_key"]) <= messages.LONGEST_KEY


@pytest.mark.django_db
def test_message__by_email__has_one_line_as_its_subject() -> None:
    event = make_alert(summary="One\r\nBcc: all@example")
    body = messages.alert_body("email", event)
    assert body["subject"] == "[ValueCanvas] Error: One Bcc: all@example"
    event.state, event.resolved_at = AlertState.RESOLVED, timezone.now()
    assert "Resolved: 2" in messages.alert_body("email", event)["text"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("slack", {}),
        ("slack", {"secret": "not a url"}),
        ("slack", {"secret": "http://a.example/x"}),
        ("slack", {"secret": "https://127.0.0.1/x"}),
        ("pagerduty", {"secret": "short"}),
        ("standard", {"address": "https://a.example"}),
        ("standard", {"address": "https://10.0.0.1", "secret": "whsec_" + "A" * 40}),
        ("standard", {"address": "https://a.example", "secret": "whsec_?"}),
        ("standard", {"address": "https://a.example", "secret": "whsec_QUJD"}),
        ("email", {"address": "nobody"}),
        ("email", {"address": "a@b.example, "}),
        ("email", {"address": ", ".join(["a@b.example"] * 21)}),
    ],
)  # fmt: skip
def test_channel__not_valid__is_refused_and_nothing_is_saved(
    settings: Settings, kind: str, fields: dict[str, Any]
) -> None:
    settings.WEBHOOKS_ALLOW_HTTP = False
    with pytest.raises(ValidationError) as refused:
        make_channel(kind, **fields)
    assert fields.get("secret", "whsec_") not in str(refused.value)
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.django_db
def test_channel__saved_again_without_its_secret__keeps_it() -> None:
    channel = make_channel("slack", secret="https://hooks.example/T/S3CRET")
    endpoint = channel.endpoint
    WebhookEndpoint.objects.update(disabled_at=timezone.now())
    channels.save_channel(channel, "slack")
    endpoint.refresh_from_db()
    assert endpoint.open_secret() == "https://hooks.example/T/S3CRET"
    assert (endpoint.url, endpoint.disabled_at) == ("https://hooks.example/...", None)
    channels.save_channel(channel, "slack", secret="https://other.example/S3CRET")
    endpoint.refresh_from_db()
    assert endpoint.url == "https://other.example/..."
    channels.delete_channel(channel)
    assert not AlertChannel.objects.exists()


@pytest.mark.django_db
def test_channel__test_message__arrives_in_each_form(receivers: Receivers) -> None:
    for one in [*receivers.channels.values(), make_channel("email", "a@b.example")]:
        channels.send_test(one)
    send_due()
    [slack], [pager] = receivers.bodies("slack"), receivers.bodies("pagerduty")
    assert "This is a test of the channel" in slack["text"]
    assert pager["payload"]["severity"] == "info"
    assert receivers.bodies("standard")[0]["type"] == messages.TEST
