"""Queues webhooks in the transaction of what they tell."""

from typing import Any

import orjson
from django.utils import timezone

from valuecanvas.core.db.worker_messages import tell_worker
from valuecanvas.core.webhooks.endpoints import DISABLED, find_endpoint
from valuecanvas.core.webhooks.models import (
    DeliveryState,
    WebhookDelivery,
    WebhookEndpoint,
)

SEND = "valuecanvas.send_webhooks"
# Webhooks carry ids and states, no answers.
MOST_BYTES = 20_000


def queue(owner: str, url: str, type: str, data: dict[str, Any]) -> WebhookDelivery:
    """Queue a webhook in the open transaction, and have it sent once that is committed.

    `type` is words with dots between, as in 'job.succeeded'. Raises ValueError if the
    body has more than MOST_BYTES.
    """
    body = _encode(standard_body(type, data))
    return _create(find_endpoint(owner, url), type=type, body=body)


def standard_body(type: str, data: dict[str, Any]) -> dict[str, Any]:
    """The body of a webhook after the specification."""
    return {"type": type, "timestamp": timezone.now(), "data": data}


def queue_body(
    endpoint: WebhookEndpoint, type: str, body: dict[str, Any], about: str = ""
) -> WebhookDelivery:
    """Queue a message in the form that the kind of `endpoint` expects; as `queue`."""
    return _create(endpoint, type=type, body=_encode(body), about=about)


def _encode(body: dict[str, Any]) -> str:
    text = orjson.dumps(body)
    if len(text) > MOST_BYTES:
        raise ValueError(f"A webhook of {len(text)} bytes: leave the answer out.")
    return text.decode()


def _create(endpoint: WebhookEndpoint, **fields: str) -> WebhookDelivery:
    unsent = {"state": DeliveryState.FAILED, "finished_at": timezone.now(), "last_error": DISABLED}  # fmt: skip
    ring_sender()
    return WebhookDelivery.objects.create(
        endpoint=endpoint, **fields, **(unsent if endpoint.disabled_at else {})
    )


def ring_sender() -> None:
    """Have a worker send what is due once the transaction is committed.

    Losing the message loses nothing: a schedule sends every few seconds.
    """
    tell_worker(SEND)
