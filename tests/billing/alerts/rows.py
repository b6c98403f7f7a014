"""Channels, rules and budgets for tests of alerts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from django.db.models.functions import Now

from billing.alerts import alert_events, channels
from billing.models import AlertChannel, AlertEvent, AlertKind, AlertRule
from tests.core.webhooks.receiver import Receiver, receiving
from tests.fixtures_billing import unique
from valuecanvas.core.webhooks import signature
from valuecanvas.core.webhooks.models import EndpointKind

KEY = "R0ut1ngK3y" + "x" * 22


@dataclass
class Receivers:
    """One for each kind of channel that is HTTP, each with its channel."""

    by_kind: dict[str, Receiver]
    channels: dict[str, AlertChannel]
    secret: str

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [orjson.loads(one.body) for one in self.by_kind[kind].received]


def make_channel(kind: str, address: str = "", secret: str = "") -> AlertChannel:
    channel = AlertChannel(name=unique(kind))
    channels.save_channel(channel, kind, address=address, secret=secret)
    return channel


def make_rule(*of: AlertChannel, kind: str = AlertKind.BUDGET, **fields: Any) -> AlertRule:  # fmt: skip
    rule = AlertRule.objects.create(name=unique("rule"), kind=kind, **fields)
    rule.channels.set(of)
    return rule


def make_alert(rule: AlertRule | None = None, **fields: Any) -> AlertEvent:
    values = {"dedup_key": unique("key"), "summary": "A <b> & c", "severity": "error", **fields}  # fmt: skip
    return AlertEvent.objects.create(rule=rule or make_rule(), **values)


@contextmanager
def three_receivers(settings: Any) -> Iterator[Receivers]:
    """Slack, PagerDuty and a signed webhook on the loopback."""
    with receiving() as slack, receiving() as pagerduty, receiving() as standard:
        slack.answer, pagerduty.status = b"ok", 202
        settings.PAGERDUTY_URL = pagerduty.url.removesuffix("/hook")
        secret = signature.new_secret()
        made = {
            "slack": make_channel(EndpointKind.SLACK, secret=f"{slack.url}/T0/B0/S3CRET"),
            "pagerduty": make_channel(EndpointKind.PAGERDUTY, secret=KEY),
            "standard": make_channel(
                EndpointKind.STANDARD, address=standard.url, secret=secret
            ),
        }  # fmt: skip
        found = {"slack": slack, "pagerduty": pagerduty, "standard": standard}
        yield Receivers(found, made, secret)


def make_calm() -> None:
    """As if the time in which a condition may come back had passed."""
    AlertEvent.objects.update(held_at=Now() - alert_events.CALM - timedelta(seconds=1))
