"""Alerts in the admin: channels with secrets, rules with mutes, and the history."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from billing.alerts import alert_events
from billing.models import AlertChannel, AlertEvent, AlertRule
from tests.billing.alerts.rows import (
    KEY,
    Receivers,
    make_alert,
    make_channel,
    make_rule,
    three_receivers,
)
from valuecanvas.core.audit.models import AuditEntry
from valuecanvas.core.webhooks import signature
from valuecanvas.core.webhooks.endpoints import rotate_secret
from valuecanvas.core.webhooks.models import WebhookEndpoint
from valuecanvas.core.webhooks.sender import send_due

AUDIT = "/admin/core/auditentry/"
CHANNELS, RULES, ALERTS = (
    f"/admin/billing/alert{name}/" for name in ("channel", "rule", "event")
)
URL = "https://hooks.slack.example/services/T0/B0/S3CRET"


@pytest.fixture
def receivers(db: None, settings: Any) -> Any:
    with three_receivers(settings) as made:
        yield made


def page(row: Any, name: str = "change") -> str:
    return f"/admin/billing/{row._meta.model_name}/{row.pk}/{name}/"


def text_of(client: Client, url: str, **query: Any) -> str:
    answer = client.get(url, query)
    assert answer.status_code == 200
    return answer.content.decode()


def add(client: Client, kind: str, **fields: Any) -> Any:
    values = {"name": "ops", "kind": kind, "enabled": "on", **fields}
    return client.post(f"{CHANNELS}add/", values, follow=True)


# -- channels -------------------------------------------------------------------


def test_lists__without_rows__say_what_to_do(auditor: Client) -> None:
    assert "Add one, test it" in text_of(auditor, CHANNELS)
    assert "what is watched" in text_of(auditor, RULES)
    assert "Nothing has fired so far" in text_of(auditor, ALERTS)


@pytest.mark.parametrize(
    ("kind", "fields", "secret", "url"),
    [
        ("slack", {"slack_url": URL}, URL, "https://hooks.slack.example/..."),
        ("pagerduty", {"integration_key": KEY}, KEY, "https://events.pagerduty.com/v2/enqueue"),
        ("email", {"addresses": "a@b.example"}, "", "a@b.example"),
    ],
)  # fmt: skip
def test_channel__added__keeps_its_secret_to_itself(
    boss: Client, kind: str, fields: dict[str, str], secret: str, url: str
) -> None:
    add(boss, kind, **fields)
    channel = AlertChannel.objects.get()
    assert channel.endpoint.open_secret() == secret
    assert (channel.endpoint.url, channel.endpoint.kind) == (url, kind)
    texts = [text_of(boss, one) for one in (CHANNELS, page(channel), AUDIT)]
    entries = [one.change_message for one in LogEntry.objects.all()]
    entries += [f"{one.before} {one.after}" for one in AuditEntry.objects.all()]
    shown = "".join([*texts, *entries, repr(channel), str(channel)])
    assert not secret or secret not in shown
    assert "S3CRET" not in shown
    boss.post(page(channel), {"name": "renamed", "enabled": "on", **({"addresses": "c@d.example"} if kind == "email" else {})})  # fmt: skip
    channel = AlertChannel.objects.get()
    assert (channel.name, channel.endpoint.open_secret()) == ("renamed", secret)


def test_channel__of_a_signed_webhook__shows_its_secret_once(boss: Client) -> None:
    form = boss.get(f"{CHANNELS}add/").context["adminform"].form
    secret = form.fields["signing_secret"].initial
    add(boss, "standard", webhook_url="https://a.example/x", signing_secret=secret)
    channel = AlertChannel.objects.get()
    assert channel.endpoint.open_secret() == secret
    assert secret not in text_of(boss, page(channel))
    newer = signature.new_secret()
    values = {
        "name": "ops",
        "webhook_url": "https://b.example",
        "signing_secret": newer,
    }
    boss.post(page(channel), values)
    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.url, endpoint.open_secret()) == ("https://b.example", newer)


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("slack", {}, "Enter a valid URL"),
        ("slack", {"slack_url": "https://127.0.0.1/S3CRET"}, "not a public one"),
        ("pagerduty", {"integration_key": "S3CRET"}, "32 letters and digits"),
        ("standard", {"webhook_url": "ftp://a"}, "Enter a valid URL"),
        ("standard", {"webhook_url": "https://a.example", "signing_secret": "S3CRET"}, "24 to 64 bytes"),
        ("email", {"addresses": "nobody"}, "valid email"),
    ],
)  # fmt: skip
def test_channel__not_valid__is_refused_beside_its_field(
    boss: Client, settings: Any, kind: str, fields: dict[str, str], said: str
) -> None:
    settings.WEBHOOKS_ALLOW_HTTP = False
    text = add(boss, kind, **fields).content.decode()
    assert said in text
    assert not AlertChannel.objects.exists()


def test_channel__deleted__takes_its_secret_with_it(boss: Client) -> None:
    channel = make_channel("slack", secret=URL)
    boss.post(page(channel, "delete"), {"post": "yes"})
    assert not AlertChannel.objects.exists()
    assert not WebhookEndpoint.objects.exists()


def test_channel__operator__tests_and_sees_it_but_changes_nothing(
    operator: Client,
) -> None:
    channel = make_channel("slack", secret=URL)
    text = text_of(operator, page(channel))
    assert "Send a test" in text
    assert 'name="slack_url"' not in text
    assert operator.post(page(channel), {"name": "x"}).status_code == 403
    assert operator.get(f"{CHANNELS}add/").status_code == 403


def test_channel__secret_by_the_endpoints_page__is_not_rotated(
    operator: Client,
) -> None:
    """A rotation would put a secret there that nobody knows."""
    endpoint = make_channel("slack", secret=URL).endpoint
    with pytest.raises(ValidationError):
        rotate_secret(endpoint)
    url = f"/admin/core/webhookendpoint/{endpoint.pk}/rotate/"
    assert "channel of alerts" in operator.post(url).content.decode()
    endpoint.refresh_from_db()
    assert endpoint.open_secret() == URL


def test_test__operator__is_sent_and_its_result_is_shown(
    operator: Client, receivers: Receivers
) -> None:
    channel = receivers.channels["slack"]
    text = operator.post(page(channel, "test"), follow=True).content.decode()
    assert "On its way" in text
    assert f'hx-get="{page(channel, "deliveries")}"' in text
    assert send_due() == 1
    text = text_of(operator, page(channel, "deliveries"))
    assert "Delivered" in text
    assert "hx-get" not in text
    assert "This is a test" in receivers.bodies("slack")[0]["text"]
    assert LogEntry.objects.get().change_message == "Sent a test message."


def test_test__receiver_refuses__says_why(
    operator: Client, receivers: Receivers
) -> None:
    receivers.by_kind["slack"].status = 404
    receivers.by_kind["slack"].answer = b"no_service"
    channel = receivers.channels["slack"]
    operator.post(page(channel, "test"))
    send_due()
    assert "It answered 404 (no_service)." in text_of(operator, page(channel))


def test_test__auditor__is_refused(auditor: Client) -> None:
    channel = make_channel("slack", secret=URL)
    assert "Send a test" not in text_of(auditor, page(channel))
    assert auditor.post(page(channel, "test")).status_code == 403


# -- rules ------------------------------------------------------------------------


def test_rule__added__has_the_parameters_of_its_kind(operator: Client) -> None:
    channel = make_channel("slack", secret=URL)
    values = {
        "name": "Errors of one", "kind": "error_rate", "severity": "critical", "enabled": "on",
        "percent": "5", "window_minutes": "15", "least_requests": "30", "model": "m",
        "factor": "3", "least_usd": "10", "channels": [channel.pk],
    }  # fmt: skip
    operator.post(f"{RULES}add/", values)
    rule = AlertRule.objects.get()
    assert (rule.percent, rule.window_minutes, rule.model) == (5, 15, "m")
    assert [*rule.channels.all()] == [channel]
    text = text_of(operator, page(rule))
    assert 'name="window_minutes"' in text
    assert 'name="factor"' not in text


def test_rules__listed__show_channels_state_and_what_fires(
    auditor: Client, django_assert_max_num_queries: Any
) -> None:
    channel = make_channel("slack", secret=URL)
    rule = make_rule(channel, channel)
    make_alert(rule)
    make_rule(enabled=False)
    make_rule(muted_until=timezone.now() + timedelta(hours=1))
    make_rule(last_error="OperationalError: slow")
    with django_assert_max_num_queries(12):
        text = text_of(auditor, RULES)
    for word in (channel.name, "console only", "off", "muted", "cannot be checked", "watching"):  # fmt: skip
        assert word in text


@pytest.mark.parametrize("hours", [1, 8, 24])
def test_mute__for_hours__lasts_them_and_can_be_ended(
    operator: Client, hours: int
) -> None:
    rule = make_rule()
    now = timezone.now()
    operator.post(page(rule, "mute"), {"length": str(hours)})
    rule.refresh_from_db()
    assert rule.muted_until is not None
    assert hours * 3600 <= (rule.muted_until - now).total_seconds() < hours * 3600 + 600
    assert "End the mute" in text_of(operator, page(rule))
    operator.post(page(rule, "unmute"))
    rule.refresh_from_db()
    assert rule.muted_until is None
    assert LogEntry.objects.count() == 2


def test_mute__until_a_time__lasts_until_then(operator: Client) -> None:
    rule = make_rule()
    until = (timezone.now() + timedelta(days=3)).replace(second=0, microsecond=0)
    operator.post(page(rule, "mute"), {"length": "until", "until": f"{until:%Y-%m-%d %H:%M}"})  # fmt: skip
    rule.refresh_from_db()
    assert rule.muted_until == until


@pytest.mark.parametrize("until", ["", "2020-01-01 00:00", "2999-01-01 00:00", "soon"])
def test_mute__until_no_such_time__is_refused(operator: Client, until: str) -> None:
    rule = make_rule()
    answer = operator.post(page(rule, "mute"), {"length": "until", "until": until})
    assert "Give a time in the next 90 days." in answer.content.decode()
    rule.refresh_from_db()
    assert rule.muted_until is None


def test_mute__auditor__is_refused(auditor: Client) -> None:
    rule = make_rule()
    assert auditor.post(page(rule, "mute"), {"length": "1"}).status_code == 403
    assert 'icon">notifications_off' not in text_of(auditor, page(rule))


# -- alerts -----------------------------------------------------------------------


def test_alert__on_its_page__shows_what_was_sent(
    auditor: Client, receivers: Receivers
) -> None:
    rule = make_rule(*receivers.channels.values())
    event = make_alert(rule, details={"percent": "<80>"}, link="/admin/x/")
    assert "Nothing was sent. The next check" in text_of(auditor, page(event))
    alert_events.notify()
    receivers.by_kind["pagerduty"].status = 400
    send_due()
    text = text_of(auditor, page(event))
    assert text.count("alert.triggered") == 3
    assert "It answered 400: the integration key" in text
    assert "percent: &lt;80&gt;" in text
    assert 'href="/admin/x/"' in text
    assert "A &lt;b&gt; &amp; c" in text


def test_alerts__listed_and_filtered__are_few_queries(
    auditor: Client, django_assert_max_num_queries: Any
) -> None:
    event = make_alert()
    for _ in range(4):
        make_alert(state="resolved", resolved_at=timezone.now())
    with django_assert_max_num_queries(12):
        answer = auditor.get(ALERTS, {"state__exact": "firing"})
    assert [one.pk for one in answer.context["cl"].result_list] == [event.pk]
    answer = auditor.get(ALERTS, {"rule": event.rule_id})
    assert [one.pk for one in answer.context["cl"].result_list] == [event.pk]
    assert AlertEvent.objects.count() == 5


@pytest.mark.parametrize(
    ("fields", "muted", "said"),
    [
        ({"notified_at": timezone.now()}, False, "Its rule had no channel"),
        ({"state": "resolved"}, False, "It was resolved before."),
        ({}, True, "Its rule is muted."),
    ],
)
def test_alert__not_sent__says_why(
    auditor: Client, fields: dict[str, Any], muted: bool, said: str
) -> None:
    until = timezone.now() + timedelta(hours=1) if muted else None
    event = make_alert(make_rule(muted_until=until), **fields)
    assert f"Nothing was sent. {said}" in text_of(auditor, page(event))
