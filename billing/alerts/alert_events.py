"""Alerts from their conditions: each is opened, sent and resolved once.

Any number of evaluators may run at once: what each does is one conditional statement.
"""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from billing.alerts import messages
from billing.alerts.types import Condition
from billing.models import AlertEvent, AlertRule, AlertState, Budget, Customer
from valuecanvas.core.webhooks import outbox
from valuecanvas.core.webhooks.models import (
    DeliveryState,
    WebhookDelivery,
    WebhookEndpoint,
)

# A condition that ceases and comes back within this is one alert.
CALM = timedelta(minutes=2)
# New alerts of one rule in one run; the rest comes with the next.
MOST_NEW = 100
MOST_KEY, MOST_SUMMARY = 200, 500
ERASED = "Budget of an erased customer has reached a threshold."
UNSENT = "Resolved before it was sent."


def find_firing() -> QuerySet[AlertEvent]:
    """The alerts that fire now, newest first."""
    rows = AlertEvent.objects.filter(state=AlertState.FIRING)
    return rows.select_related("rule").order_by("-id")


def about(event: AlertEvent) -> str:
    """How the deliveries of an alert are found."""
    return f"alert:{event.pk}"


def apply(rule: AlertRule, conditions: Sequence[Condition]) -> None:
    """Open an alert for each new condition, and resolve those that hold no more."""
    keys = {_short_key(one.key): one for one in conditions}
    rows = AlertEvent.objects.filter(rule=rule)
    live = rows.filter(state=AlertState.FIRING)
    known = rows.filter(Q(state=AlertState.FIRING) | Q(once=True), dedup_key__in=keys)
    known_keys = set(known.values_list("dedup_key", flat=True))
    new = [(key, one) for key, one in keys.items() if key not in known_keys]
    # Another evaluator may open the same at this moment.
    AlertEvent.objects.bulk_create(
        [_event(rule, key, one) for key, one in new[:MOST_NEW]], ignore_conflicts=True
    )
    live.filter(dedup_key__in=keys).update(held_at=Now())
    for event in live.filter(held_at__lt=Now() - CALM):
        resolve(event)


def _event(rule: AlertRule, key: str, found: Condition) -> AlertEvent:
    return AlertEvent(
        rule=rule,
        severity=rule.severity,
        dedup_key=key,
        once=found.once,
        summary=found.summary[:MOST_SUMMARY],
        details=found.details,
        link=found.link,
    )


def _short_key(key: str) -> str:
    if len(key) <= MOST_KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{key[: MOST_KEY - len(digest) - 1]}:{digest}"


def notify() -> int:
    """Queue the alerts that no evaluator has queued so far. Returns their number.

    Those of a muted rule wait until it is muted no more, if they still fire then.
    """
    unmuted = Q(rule__muted_until=None) | Q(rule__muted_until__lte=Now())
    waiting = find_firing().filter(unmuted, notified_at=None, rule__enabled=True)
    return sum(_notify(event) for event in waiting)


@transaction.atomic
def _notify(event: AlertEvent) -> bool:
    """Whether this call was the one that claimed it."""
    unclaimed = find_firing().filter(pk=event.pk, notified_at=None)
    if not unclaimed.order_by().update(notified_at=Now()):
        return False
    channels = event.rule.channels.filter(enabled=True)
    for channel in channels.select_related("endpoint"):
        _queue(channel.endpoint, event)
    return True


@transaction.atomic
def resolve(event: AlertEvent) -> None:
    """Mark an alert as resolved, and tell those who were told of it."""
    live = AlertEvent.objects.filter(pk=event.pk, state=AlertState.FIRING)
    if not live.update(state=AlertState.RESOLVED, resolved_at=Now()):
        return
    event.refresh_from_db()
    told = WebhookDelivery.objects.filter(about=about(event), type=messages.TRIGGERED)
    # Whoever has not even been tried needs neither message.
    untried = told.filter(state=DeliveryState.WAITING, attempts=0)
    untried.update(state=DeliveryState.FAILED, finished_at=Now(), last_error=UNSENT)
    told_endpoints = told.exclude(last_error=UNSENT).values("endpoint")
    for endpoint in WebhookEndpoint.objects.filter(pk__in=told_endpoints):
        _queue(endpoint, event)


def erase_names(customer: Customer) -> None:
    """Take the customer's name out of alerts on its budgets, and delete what was sent."""
    owned = Q(customer=customer) | Q(api_key__customer=customer)
    for budget in Budget.objects.filter(owned):
        rows = AlertEvent.objects.filter(dedup_key__startswith=f"budget:{budget.pk}:")
        sent = [about(event) for event in rows]
        WebhookDelivery.objects.filter(about__in=sent).delete()
        rows.update(summary=ERASED)


def _queue(endpoint: WebhookEndpoint, event: AlertEvent) -> None:
    body = messages.alert_body(endpoint.kind, event)
    type = messages.TYPES[AlertState(event.state)]
    outbox.queue_body(endpoint, type, body, about(event))
