"""Channels: where alerts go, and the test of one."""

import base64
import binascii
import re
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from billing.alerts import messages
from billing.models import AlertChannel
from valuecanvas.core.ids import uuid7
from valuecanvas.core.webhooks import outbox
from valuecanvas.core.webhooks.endpoints import (
    CHANNEL_OWNER,
    check_webhook_url,
    enable_endpoint,
)
from valuecanvas.core.webhooks.models import (
    LONGEST_URL,
    EndpointKind,
    WebhookDelivery,
    WebhookEndpoint,
)
from valuecanvas.core.webhooks.signature import PREFIX

MOST_ADDRESSES = 20
_KEY = re.compile(r"[0-9A-Za-z]{32}")


def check_address(kind: str, address: str) -> None:
    """Raises ValidationError for an address that no channel of this kind may have."""
    if kind == EndpointKind.STANDARD:
        check_webhook_url(address)
    if kind != EndpointKind.EMAIL:
        return
    addresses = [one.strip() for one in address.split(",")]
    if len(addresses) > MOST_ADDRESSES or len(address) > LONGEST_URL:
        raise ValidationError(f"At most {MOST_ADDRESSES} addresses.")
    for one in addresses:
        validate_email(one)


def check_secret(kind: str, secret: str) -> None:
    """Raises ValidationError; the message never has the secret."""
    if kind == EndpointKind.SLACK:
        check_webhook_url(secret)
    elif kind == EndpointKind.PAGERDUTY and not _KEY.fullmatch(secret):
        raise ValidationError("An integration key has 32 letters and digits.")
    elif kind == EndpointKind.STANDARD and not _is_signing_secret(secret):
        raise ValidationError(f"{PREFIX} and 24 to 64 bytes in base64.")


def _is_signing_secret(secret: str) -> bool:
    try:
        raw = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return False
    return secret.startswith(PREFIX) and 24 <= len(raw) <= 64


@transaction.atomic
def save_channel(
    channel: AlertChannel, kind: str, *, address: str = "", secret: str = ""
) -> None:
    """Save a channel with its endpoint. An empty secret leaves the stored one.

    Raises ValidationError. A disabled endpoint is enabled: it was changed for a reason.
    """
    check_address(kind, address)
    if secret:
        check_secret(kind, secret)
    is_new = channel.endpoint_id is None
    endpoint = WebhookEndpoint() if is_new else channel.endpoint
    if is_new and not secret and kind != EndpointKind.EMAIL:
        raise ValidationError("A secret is needed.")
    endpoint.kind = kind
    if is_new:
        endpoint.owner = f"{CHANNEL_OWNER}{endpoint.pk}"
        endpoint.set_secret(secret)
    elif secret:
        endpoint.set_secret(secret)
    if kind == EndpointKind.SLACK and secret:
        # Of the URL, which is the secret, only where it goes.
        endpoint.url = f"https://{urlsplit(secret).netloc}/..."
    elif kind == EndpointKind.PAGERDUTY:
        endpoint.url = f"{settings.PAGERDUTY_URL}/v2/enqueue"
    elif kind != EndpointKind.SLACK:
        endpoint.url = address
    endpoint.save()
    enable_endpoint(endpoint)
    channel.endpoint = endpoint
    channel.save()


def delete_channel(channel: AlertChannel) -> None:
    """Delete a channel with its secret and all that was sent there."""
    channel.endpoint.delete()


@transaction.atomic
def send_test(channel: AlertChannel) -> WebhookDelivery:
    """Queue a test message; its row tells how it ended."""
    body = messages.test_body(channel.endpoint.kind, channel.name)
    return outbox.queue_body(channel.endpoint, messages.TEST, body, f"test:{uuid7()}")
