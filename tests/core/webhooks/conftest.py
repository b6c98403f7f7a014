"""A receiver, and webhooks for it."""

from collections.abc import Iterator

import pytest
from django.db.models.functions import Now

from tests.core.webhooks.receiver import Receiver, receiving
from tests.fixtures_billing import unique
from valuecanvas.core.webhooks.models import DeliveryState, WebhookDelivery
from valuecanvas.core.webhooks.outbox import queue


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def make_delivery(url: str, owner: str = "", **data: object) -> WebhookDelivery:
    return queue(owner or unique("customer:some"), url, "job.succeeded", data)


def make_due() -> None:
    """Pass over the waits for the next attempts."""
    waiting = WebhookDelivery.objects.filter(state=DeliveryState.WAITING)
    waiting.update(next_at=Now())
