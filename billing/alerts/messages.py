"""What each kind of channel is told of an alert."""

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings

from billing.models import AlertEvent, AlertState
from valuecanvas.core.webhooks.models import EndpointKind
from valuecanvas.core.webhooks.outbox import standard_body

CLIENT = "ValueCanvas"
LONGEST_KEY = 255
TRIGGERED, RESOLVED, TEST = "alert.triggered", "alert.resolved", "alert.test"
TYPES = {AlertState.FIRING: TRIGGERED, AlertState.RESOLVED: RESOLVED}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def alert_body(kind: str, event: AlertEvent) -> dict[str, Any]:
    """The body for a channel of this kind: it fires, or it is resolved."""
    return _BODIES[EndpointKind(kind)](event)


def test_body(kind: str, name: str) -> dict[str, Any]:
    """The body of a test message. PagerDuty opens an incident of severity 'info'."""
    text = f"This is a test of the channel '{name}'. Nothing is wrong."
    if kind == EndpointKind.SLACK:
        return _slack(text)
    if kind == EndpointKind.EMAIL:
        return {"subject": f"[{CLIENT}] Test of '{_line(name)}'", "text": text}
    if kind == EndpointKind.PAGERDUTY:
        payload = {"summary": text, "source": CLIENT, "severity": "info"}
        key = f"valuecanvas:test:{name}"
        return {"event_action": "trigger", "dedup_key": key, "payload": payload}
    return standard_body(TEST, {"summary": text, "channel": name})


def link_of(event: AlertEvent) -> str:
    """The URL of what the alert is about; '' if the console's own is not known."""
    return f"{settings.CONSOLE_URL}{event.link}" if settings.CONSOLE_URL else ""


def _headline(event: AlertEvent) -> str:
    if event.state == AlertState.RESOLVED:
        return f"Resolved: {event.summary}"
    return f"{event.get_severity_display()}: {event.summary}"


def _standard_body(event: AlertEvent) -> dict[str, Any]:
    data = {
        "id": str(event.pk),
        "rule": event.rule.name,
        "kind": event.rule.kind,
        "severity": event.severity,
        "dedupKey": event.dedup_key,
        "summary": event.summary,
        "details": event.details,
        "openedAt": event.opened_at,
        "resolvedAt": event.resolved_at,
        "link": link_of(event),
    }
    return standard_body(TYPES[AlertState(event.state)], data)


def _slack_body(event: AlertEvent) -> dict[str, Any]:
    return _slack(_headline(event), link_of(event))


def _slack(text: str, link: str = "") -> dict[str, Any]:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    more = f"\n<{link}|Open in the console>" if link else ""
    section = {"type": "mrkdwn", "text": f"{text}{more}", "verbatim": True}
    return {"text": text, "blocks": [{"type": "section", "text": section}]}


def _pagerduty_body(event: AlertEvent) -> dict[str, Any]:
    """Without the routing key, which the sender adds. A resolve closes its trigger."""
    key = f"valuecanvas:{event.rule_id}:{event.dedup_key}"[:LONGEST_KEY]
    if event.state == AlertState.RESOLVED:
        return {"event_action": "resolve", "dedup_key": key}
    link = link_of(event)
    return {
        "event_action": "trigger",
        "dedup_key": key,
        "payload": {
            "summary": event.summary,
            "source": settings.CONSOLE_URL or CLIENT,
            "severity": event.severity,
            "timestamp": event.opened_at,
            "class": event.rule.kind,
            "custom_details": event.details,
        },
        "client": CLIENT,
        **({"client_url": link} if link else {}),
    }


def _email_body(event: AlertEvent) -> dict[str, Any]:
    lines = [event.summary, "", f"Rule: {event.rule.name}", f"Severity: {event.severity}", f"Since: {event.opened_at:%Y-%m-%d %H:%M:%S} UTC"]  # fmt: skip
    if event.resolved_at:
        lines.append(f"Resolved: {event.resolved_at:%Y-%m-%d %H:%M:%S} UTC")
    lines += filter(None, [link_of(event)])
    return {
        "subject": f"[{CLIENT}] {_line(_headline(event))}",
        "text": "\n".join(lines) + "\n",
    }


def _line(text: str) -> str:
    """A header of an e-mail is one line."""
    return _CONTROL.sub(" ", text)[:200]


_BODIES: dict[EndpointKind, Callable[[AlertEvent], dict[str, Any]]] = {
    EndpointKind.STANDARD: _standard_body,
    EndpointKind.SLACK: _slack_body,
    EndpointKind.PAGERDUTY: _pagerduty_body,
    EndpointKind.EMAIL: _email_body,
}
