"""The gateway's periodic task; a migration of billing adds its schedule."""

import structlog
from celery import shared_task
from django.conf import settings

from llm.journal import recovery

log = structlog.get_logger("llm.tasks")


@shared_task(name="billing.reap")
def reap() -> int:
    """End reservations past their lease, and those of dead processes."""
    ended = recovery.reap(settings.JOURNAL_DIR)
    if ended:
        log.warning("reservations.reaped", count=ended)
    return ended
