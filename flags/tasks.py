"""The flags' periodic work; the schedule is a row, made in a migration."""

import structlog
from celery import shared_task

from flags import services

log = structlog.get_logger("flags.tasks")


@shared_task(name="flags.apply_due")
def apply_due() -> int:
    """Write scheduled changes that are due into their flags."""
    done = services.apply_due()
    if done:
        log.info("flags.schedule_applied", count=done)
    return done
