"""The task that deletes old entries of the audit."""

from celery import shared_task

from valuecanvas.core.audit import audit_retention
from valuecanvas.core.db.periodic_work import PeriodicWork

PERIODIC = (
    PeriodicWork(
        "Audit: purge old entries",
        "core.audit.purge",
        "Deletes entries older than AUDIT_KEEP_DAYS; without that setting none.",
        crontab="10 4 * * *",
        expire_seconds=3600,
    ),
)


@shared_task(name="core.audit.purge")
def purge_audit() -> int:
    """Delete entries that need not be kept any longer."""
    return audit_retention.purge()
