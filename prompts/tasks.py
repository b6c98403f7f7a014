"""Periodic tasks of prompts."""

import structlog
from celery import shared_task

from prompts import services
from valuecanvas.core.db.periodic_work import PeriodicWork

log = structlog.get_logger("prompts.tasks")
PERIODIC = (
    PeriodicWork(
        "Prompts: take due steps of gradual rollouts",
        "prompts.apply_due_steps",
        "Raises the share of rollouts whose next step is due.",
        every=15,
        expire_seconds=60,
    ),
)


@shared_task(name="prompts.apply_due_steps")
def apply_due_steps() -> int:
    """Raise the share of rollouts whose next step is due."""
    taken = services.apply_due_steps()
    if taken:
        log.info("rollouts.stepped", count=taken)
    return taken
