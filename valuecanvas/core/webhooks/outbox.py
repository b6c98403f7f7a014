"""Queues webhooks in the transaction of what they tell."""

from typing import Any

import orjson
from django.utils import timezone

from valuecanvas.core.db.worker_messages import tell_worker
from valuecanvas.core.webhooks.endpoints import DISABLED, find_endpoint
from valuecanvas.core.webhooks.models import DeliveryState, WebhookDelivery

SEND = "valuecanvas.send_webhooks"
# Webhooks carry ids and states, no answers.
MOST_BYTES = 20_000


def queue(owner: str, url: str, type: str, data: dict[str, Any]) -> WebhookDelivery:
    """Queue a webhook in the open transaction, and have it sent once that is committed.

    `type` is words with dots between, as in 'job.succeeded'. Raises ValueError if the
    body has more than MOST_BYTES.
    """
    now = timezone.now()
    body = orjson.dumps({"type": type, "timestamp": now, "data": data})
    if len(body) > MOST_BYTES:
        raise ValueError(f"A webhook of {len(body)} bytes: leave the answer out.")
    endpoint = find_endpoint(owner, url)
    unsent = {"state": DeliveryState.FAILED, "finished_at": now, "last_error": DISABLED}
    ring_sender()
    return WebhookDelivery.objects.create(
        endpoint=endpoint,
        type=type,
        body=body.decode(),
        **(unsent if endpoint.disabled_at else {}),
    )


def ring_sender() -> None:
    """Have a worker send what is due once the transaction is committed.

    Losing the message loses nothing: a schedule sends every few seconds.
    """
    tell_worker(SEND)
