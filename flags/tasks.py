"""Periodic tasks of flags."""

import structlog
from celery import shared_task
from django.utils import timezone

from flags import exposure, services
from valuecanvas.core.db.periodic_work import PeriodicWork

log = structlog.get_logger("flags.tasks")
PERIODIC = (
    PeriodicWork(
        "Flags: apply scheduled changes",
        "flags.apply_due",
        "Writes changes that are due into their flags. They count from their time on, "
        "also where this runs late.",
        every=15,
        expire_seconds=60,
    ),
    PeriodicWork(
        "Flags: forget old exposures",
        "flags.purge",
        "Deletes counts of exposures that are older than 90 days.",
        crontab="40 3 * * *",
    ),
)


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
