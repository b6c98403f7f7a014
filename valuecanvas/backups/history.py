"""What the history of backups says: the last ones, and whether one is overdue."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.timesince import timesince

from valuecanvas.backups.models import Backup, BackupState
from valuecanvas.backups.postgresql import client_programs, databases

# A daily backup may take two hours.
OVERDUE = timedelta(hours=26)
DEAD = "The process that made it has ended before it was done."


@dataclass(frozen=True, slots=True)
class BackupStatus:
    """Whether there is a fresh verified backup; `text` says it in a few words."""

    ok: bool
    text: str


def find_running() -> Backup | None:
    """The backup under way. One whose process has died is marked as failed first."""
    row = Backup.objects.filter(state=BackupState.RUNNING).first()
    if row is None or not _is_dead(row):
        return row
    row.state, row.error, row.step = BackupState.FAILED, DEAD, ""
    row.finished_at = timezone.now()
    row.save()
    return find_running()


def _is_dead(row: Backup) -> bool:
    """Whether it was begun, but nobody holds the lock; or no worker ever took it."""
    if row.step:
        return not databases.is_locked(client_programs.server())
    return timezone.now() - row.started_at > OVERDUE


def last() -> Backup | None:
    """The newest backup that has ended."""
    return Backup.objects.exclude(state=BackupState.RUNNING).first()


def last_verified() -> Backup | None:
    """The newest backup in the storage whose restore for trial passed."""
    return Backup.objects.filter(state=BackupState.STORED, verified=True).first()


def has_failed(backup: Backup) -> bool:
    return backup.state == BackupState.FAILED or backup.verified is False


def status(now: datetime | None = None) -> BackupStatus:
    """Whether the last verified backup is younger than OVERDUE."""
    found = last_verified()
    if found is None:
        return BackupStatus(ok=False, text="no verified backup")
    now = now or timezone.now()
    age = timesince(found.started_at, now, depth=1).replace("\xa0", " ")
    ok = now - found.started_at <= OVERDUE
    return BackupStatus(ok, f"last verified backup {age} ago")
