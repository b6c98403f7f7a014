"""Periodic tasks of flags; a migration creates their schedules."""

import structlog
from celery import shared_task
from django.utils import timezone

from flags import exposure, services

log = structlog.get_logger("flags.tasks")


@shared_task(name="flags.apply_due")
def apply_due() -> int:
    """Write scheduled changes that are due into their flags."""
    done = services.apply_due()
    if done:
        log.info("flags.schedule_applied", count=done)
    return done


@shared_task(name="flags.purge")
def purge() -> int:
    """Delete old counts of exposures."""
    return exposure.purge(timezone.now())
