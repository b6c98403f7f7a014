"""Periodic tasks of prompts; a migration creates their schedules."""

import structlog
from celery import shared_task

from prompts import services

log = structlog.get_logger("prompts.tasks")


@shared_task(name="prompts.apply_due_steps")
def apply_due_steps() -> int:
    """Raise the share of rollouts whose next step is due."""
    taken = services.apply_due_steps()
    if taken:
        log.info("rollouts.stepped", count=taken)
    return taken
