"""Billing's periodic work; the schedules are rows, made in a migration."""

import structlog
from celery import shared_task

from billing.accounting import purge, reconcile

log = structlog.get_logger("billing.tasks")


@shared_task(name="billing.purge")
def purge_old() -> dict[str, int]:
    """Remove old bookkeeping."""
    deleted = purge.purge()
    log.info("bookkeeping.purged", **deleted)
    return deleted


@shared_task(name="billing.reconcile")
def reconcile_books(days: int = reconcile.DAYS) -> bool:
    """Check the ledger of the last `days` days. Returns whether there was no drift."""
    return reconcile.run("schedule", days).ok
