"""The task that sends webhooks."""

from celery import shared_task

from valuecanvas.core.db.periodic_work import PeriodicWork
from valuecanvas.core.webhooks import outbox, sender

PERIODIC = (
    PeriodicWork(
        "Webhooks: send what is due",
        outbox.SEND,
        "Sends callbacks that no message announced, and those again that failed.",
        every=15,
        expire_seconds=15,
    ),
)


@shared_task(name=outbox.SEND)
def send_webhooks() -> int:
    """Send the webhooks that are due. Returns the number of attempts."""
    attempts = sender.send_due()
    if attempts:
        # More may have come due meanwhile.
        outbox.ring_sender()
    return attempts
