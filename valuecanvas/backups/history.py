"""What the history of backups says: the last ones, and whether one is overdue."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.timesince import timesince

from valuecanvas.backups.errors import BackupError
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
        try:
            return not databases.is_locked(client_programs.server())
        except BackupError:
            # Nobody knows.
            return False
    return timezone.now() - row.started_at > OVERDUE


def last() -> Backup | None:
    """The backup that ended last: one that was refused began after the one it met."""
    ended = Backup.objects.exclude(state=BackupState.RUNNING)
    return ended.order_by("-finished_at").first()


def last_verified() -> Backup | None:
    """The newest backup in the storage whose restore for trial passed."""
    # Not by id: the row of a backup found in the storage is younger than the backup.
    verified = Backup.objects.filter(state=BackupState.STORED, verified=True)
    return verified.order_by("-started_at").first()


def has_failed(backup: Backup) -> bool:
    """Whether it was not made, or not verified for any reason."""
    return bool(backup.error) or backup.verified is False


def status(now: datetime | None = None) -> BackupStatus:
    """Whether the last verified backup is younger than OVERDUE."""
    found = last_verified()
    if found is None:
        return BackupStatus(ok=False, text="no verified backup")
    age = (now or timezone.now()) - found.started_at
    ago = "just now"
    if age >= timedelta(minutes=1):
        ago = f"{timesince(found.started_at, now, depth=1)} ago".replace("\xa0", " ")
    return BackupStatus(age <= OVERDUE, f"last verified backup {ago}")
