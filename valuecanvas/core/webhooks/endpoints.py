"""Where webhooks may go, and what is done to an endpoint."""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction
from django.utils import timezone

from valuecanvas.core.access.url_guard import UrlGuard
from valuecanvas.core.webhooks.models import (
    LONGEST_URL,
    DeliveryState,
    WebhookDelivery,
    WebhookEndpoint,
)
from valuecanvas.core.webhooks.signature import new_secret

GUARD = UrlGuard("WEBHOOKS_ALLOW_HTTP")
# Of one owner: each has a secret that the owner must know.
MOST_ENDPOINTS = 100
# How long the old secret signs too after a rotation.
OVERLAP = timedelta(hours=24)
# What owners of endpoints begin with that are channels of alerts.
CHANNEL_OWNER = "channel:"
DISABLED = "Its endpoint is disabled."
_is_url = URLValidator(schemes=["http", "https"])


def check_webhook_url(url: str) -> None:
    """Raises ValidationError for a URL that no webhook may be sent to."""
    if len(url) > LONGEST_URL or not url.isascii():
        raise ValidationError(
            f"A URL has at most {LONGEST_URL} characters, all of them ASCII."
        )
    _is_url(url)
    GUARD.check_url(url)


def register_endpoint(owner: str, url: str) -> WebhookEndpoint:
    """The endpoint of this owner, created if there is none. Raises ValidationError."""
    check_webhook_url(url)
    rows = WebhookEndpoint.objects.filter(owner=owner)
    if rows.count() >= MOST_ENDPOINTS and not rows.filter(url=url).exists():
        raise ValidationError(
            f"{MOST_ENDPOINTS} URLs get callbacks already: delete one that is not"
            " needed. Put no ids into URLs, for the callback has them."
        )
    return find_endpoint(owner, url)


def find_endpoint(owner: str, url: str) -> WebhookEndpoint:
    """The endpoint of this owner, created unchecked if there is none."""
    found = WebhookEndpoint.objects.filter(owner=owner, url=url).first()
    if found is not None:
        return found
    new = WebhookEndpoint(owner=owner, url=url)
    new.set_secret(new_secret())
    # Another transaction may create it at the same moment.
    created = {"id": new.pk, "secret_sealed": new.secret_sealed}
    return WebhookEndpoint.objects.get_or_create(created, owner=owner, url=url)[0]


def rotate_secret(endpoint: WebhookEndpoint) -> None:
    """Give it a new secret; the old one signs too for OVERLAP.

    Raises ValidationError for a channel of alerts, whose secret is entered by people.
    """
    if endpoint.owner.startswith(CHANNEL_OWNER):
        raise ValidationError("This is a channel of alerts: enter the secret there.")
    with transaction.atomic():
        row = lock_endpoint(endpoint)
        row.previous_sealed = bytes(row.secret_sealed)
        row.previous_until = timezone.now() + OVERLAP
        row.set_secret(new_secret())
        row.save(update_fields=["secret_sealed", "previous_sealed", "previous_until"])


def enable_endpoint(endpoint: WebhookEndpoint) -> None:
    """Send there again from now on; what failed meanwhile is not sent by itself."""
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        disabled_at=None, disabled_reason="", failing_since=None
    )


def disable_endpoint(endpoint: WebhookEndpoint, reason: str) -> None:
    """Send nothing there any more. The caller has locked the row."""
    now = timezone.now()
    endpoint.disabled_at, endpoint.disabled_reason = now, reason
    endpoint.save(update_fields=["disabled_at", "disabled_reason"])
    WebhookDelivery.objects.filter(
        endpoint=endpoint, state=DeliveryState.WAITING
    ).update(state=DeliveryState.FAILED, finished_at=now, last_error=DISABLED)


def lock_endpoint(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """The row as it is now, locked until the transaction ends."""
    rows = WebhookEndpoint.objects.select_for_update(no_key=True)
    return rows.get(pk=endpoint.pk)
