"""Makes, verifies and deletes backups, and writes their history."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta

import structlog
from django.utils import timezone

from valuecanvas.backups import creation, history, retention
from valuecanvas.backups.errors import BackupError
from valuecanvas.backups.models import Backup, BackupState
from valuecanvas.backups.rehearsal import rehearse
from valuecanvas.backups.repository import BackupRepository, StoredBackup, new_name
from valuecanvas.backups.types import BackupSummary, Progress, Rehearsal

log = structlog.get_logger("backups")

# A scheduled backup is left out if one was made since; several schedules may run.
FRESH = timedelta(hours=20)


def quiet(step: str, done: int, of: int) -> None:
    """Report no progress."""


def begin(by: str) -> Backup:
    """The row of a backup that is about to be made."""
    return Backup.objects.create(name=new_name(), started_at=timezone.now(), by=by)


def make(backup: Backup, *, verify: bool = True, progress: Progress = quiet) -> Backup:
    """Make the backup of the row, verify it, and delete expired ones.

    Raises BackupError if it could not be made or verified; the row says why too.
    """
    repository = BackupRepository()
    report = _recorder(backup, progress)
    with _failure_recorded(backup):
        summary = creation.create(repository, backup.name, report)
    _record(backup, summary)
    log.info("backup.made", backup=backup.name, bytes=summary.size, rows=summary.rows)
    if not summary.has_keys:
        log.warning("backup.without_keys", backup=backup.name)
    if verify:
        verify_one(repository, backup.name, by=backup.by, progress=progress)
    delete_expired(repository)
    backup.refresh_from_db()
    return backup


def verify_one(
    repository: BackupRepository, name: str, *, by: str, progress: Progress = quiet
) -> Rehearsal:
    """Restore a backup for trial. Raises BackupError if a check failed."""
    row = row_of(repository, name, by=by)
    report = _recorder(row, progress)
    with _failure_recorded(row, BackupState(row.state)):
        found = rehearse(repository, name, report)
    row.rehearsed_at, row.verified = found.at, found.ok
    row.steps = found.document()["steps"]
    row.error, row.step = found.failure, ""
    row.save()
    if not found.ok:
        log.error("backup.unusable", backup=name, reason=found.failure)
        raise BackupError(f"{name} is not usable. {found.failure}")
    log.info("backup.verified", backup=name)
    return found


def delete_expired(repository: BackupRepository, *, dry: bool = False) -> list[str]:
    """Delete expired backups, and compare the history with the storage."""
    found = retention.prune(repository, dry=dry)
    if found and not dry:
        log.info("backup.deleted", backups=found)
    _compare_history(repository.entries())
    return found


def made_lately() -> bool:
    """Whether a backup is under way, or was made within FRESH."""
    since = timezone.now() - FRESH
    stored = Backup.objects.filter(state=BackupState.STORED, started_at__gte=since)
    return stored.exclude(verified=False).exists() or history.find_running() is not None


def row_of(repository: BackupRepository, name: str, *, by: str) -> Backup:
    """The row of a stored backup; a restored database may lack it."""
    row = Backup.objects.filter(name=name).first()
    if row is not None:
        return row
    summary = repository.summary(name)
    row = Backup(name=name, started_at=summary.made_at, by=by)
    _record(row, summary)
    return row


def _record(backup: Backup, summary: BackupSummary) -> None:
    backup.state, backup.step, backup.error = BackupState.STORED, "", ""
    backup.size, backup.tables, backup.rows = summary.size, summary.tables, summary.rows
    backup.finished_at = summary.made_at
    backup.save()


def _recorder(backup: Backup, progress: Progress) -> Progress:
    """Also writes each new step into the row, for the admin."""

    def report(step: str, done: int, of: int) -> None:
        progress(step, done, of)
        if step != backup.step:
            backup.step = step
            Backup.objects.filter(pk=backup.pk).update(step=step)

    return report


@contextlib.contextmanager
def _failure_recorded(
    backup: Backup, state: BackupState = BackupState.FAILED
) -> Iterator[None]:
    """Log and record an error of the block; the backup is then in `state`."""
    try:
        yield
    except BaseException as error:
        text = str(error) or type(error).__name__
        log.error("backup.failed", backup=backup.name, reason=text)
        backup.state, backup.error, backup.step = state, text, ""
        backup.finished_at = timezone.now()
        backup.save()
        raise


def _compare_history(entries: list[StoredBackup]) -> None:
    """Mark rows whose backup is gone, add those of unknown ones, and log damage.

    A restored database has no rows of later backups, and its own is still under way.
    """
    stored = {one.name: one for one in entries if not one.unfinished}
    rows = Backup.objects.filter(state=BackupState.STORED)
    rows.exclude(name__in=stored).update(state=BackupState.DELETED)
    known = set(rows.filter(name__in=stored).values_list("name", flat=True))
    for name, entry in stored.items():
        if entry.problem:
            log.error("backup.damaged", backup=name, reason=entry.problem)
            rows.filter(name=name).update(verified=False, error=entry.problem)
        elif name not in known and entry.summary is not None:
            _record_found(entry, entry.summary)


def _record_found(entry: StoredBackup, summary: BackupSummary) -> None:
    row = Backup.objects.filter(name=entry.name).first() or Backup(
        name=entry.name, started_at=summary.made_at, by="storage"
    )
    if entry.rehearsal is not None:
        row.rehearsed_at, row.verified = entry.rehearsal.at, entry.rehearsal.ok
        row.steps = entry.rehearsal.document()["steps"]
    _record(row, summary)
