"""The gateway's periodic work; its schedule is a row, made in a migration of billing."""

import structlog
from celery import shared_task
from django.conf import settings

from llm import heir

log = structlog.get_logger("llm.tasks")


@shared_task(name="billing.reap")
def reap() -> int:
    """End reservations past their lease, and those of dead processes."""
    ended = heir.reap(settings.JOURNAL_DIR)
    if ended:
        log.warning("reservations.reaped", count=ended)
    return ended
