"""The daily backup."""

import structlog
from celery import shared_task
from django.conf import settings

from valuecanvas.backups import runs
from valuecanvas.backups.models import Backup
from valuecanvas.backups.repository import BackupRepository
from valuecanvas.core.db.periodic_work import PeriodicWork

log = structlog.get_logger("backups.tasks")

# Large databases take longer than other tasks may.
MOST_S = 6 * 3600
PERIODIC = (
    PeriodicWork(
        "Backups: make and verify the daily backup",
        "backups.daily",
        "Copies the whole database, encrypted, restores the copy for trial, and deletes "
        "expired backups. See Backups.",
        crontab="23 2 * * *",
        expire_seconds=3600,
    ),
)


@shared_task(name="backups.daily", time_limit=MOST_S, acks_late=False)
def back_up_daily() -> str:
    """Make and verify a backup, unless one was made since. Returns its name."""
    if not settings.BACKUP_SCHEDULE or runs.made_lately():
        return ""
    return runs.make(runs.begin("schedule")).name


@shared_task(name="backups.make", time_limit=MOST_S, acks_late=False)
def make_backup(pk: str) -> None:
    """Make the backup of a row that a page has begun."""
    runs.make(Backup.objects.get(pk=pk))


@shared_task(name="backups.verify", time_limit=MOST_S, acks_late=False)
def verify_backup(name: str, by: str) -> None:
    """Restore a backup for trial."""
    runs.verify_one(BackupRepository(), name, by=by)
