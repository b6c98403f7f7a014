"""Makes, verifies and deletes backups, and writes their history."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta

import psycopg
import structlog
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from valuecanvas.backups import creation, history, retention
from valuecanvas.backups.errors import BackupError, DamagedBackup
from valuecanvas.backups.models import Backup, BackupState
from valuecanvas.backups.postgresql import client_programs, databases
from valuecanvas.backups.rehearsal import rehearse
from valuecanvas.backups.repository import BackupRepository, StoredBackup, new_name
from valuecanvas.backups.types import BackupSummary, Progress, Rehearsal, quiet

log = structlog.get_logger("backups")

# A scheduled backup is left out if one was made since; several schedules may run.
FRESH = timedelta(hours=20)


def begin(by: str) -> Backup:
    """The row of a backup that is about to be made."""
    return Backup.objects.create(name=new_name(), started_at=timezone.now(), by=by)


def make(backup: Backup, *, verify: bool = True, progress: Progress = quiet) -> Backup:
    """Make the backup of the row, verify it, and delete expired ones.

    Raises BackupError if it could not be made or verified; the row says why too.
    """
    repository, found = BackupRepository(), None
    with _failure_recorded(backup), _exclusive() as connection:
        report = _recorder(backup, progress)
        summary = creation.create(repository, backup.name, report)
        _record(backup, summary)
        log.info(
            "backup.made", backup=backup.name, bytes=summary.size, rows=summary.rows
        )
        if not summary.has_keys:
            log.warning("backup.without_keys", backup=backup.name)
        if verify:
            found = _verify(repository, backup, connection, progress)
        if found is None or found.ok:
            _delete_expired(repository)
    _require_usable(found)
    backup.refresh_from_db()
    return backup


def verify_one(
    repository: BackupRepository, name: str, *, by: str, progress: Progress = quiet
) -> Rehearsal:
    """Restore a backup for trial. Raises BackupError if a check failed."""
    # The lock first: a row that is not stored then belongs to a dead process.
    with _exclusive() as connection:
        row = row_of(repository, name, by=by)
        with _failure_recorded(row):
            found = _verify(repository, row, connection, progress)
    _require_usable(found)
    return found


def delete_expired(repository: BackupRepository, *, dry: bool = False) -> list[str]:
    """Delete expired backups, and compare the history with the storage.

    `dry`: only name them. Raises BackupError.
    """
    if dry:
        return retention.list_expired(repository.entries(), timezone.now())
    with _exclusive():
        return _delete_expired(repository)


def made_lately() -> bool:
    """Whether a backup is under way, or was made within FRESH."""
    since = timezone.now() - FRESH
    stored = Backup.objects.filter(state=BackupState.STORED, started_at__gte=since)
    return stored.exclude(verified=False).exists() or history.find_running() is not None


def row_of(repository: BackupRepository, name: str, *, by: str) -> Backup:
    """The row of a stored backup; a restored database may lack it. Raises BackupError."""
    row = Backup.objects.filter(name=name).first()
    if row is None or row.state != BackupState.STORED:
        summary = repository.summary(name)
        row = row or Backup(name=name, started_at=summary.made_at, by=by)
        _record(row, summary)
    return row


def _exclusive() -> AbstractContextManager[psycopg.Connection]:
    return databases.exclusive(client_programs.server())


def _verify(
    repository: BackupRepository,
    row: Backup,
    connection: psycopg.Connection,
    progress: Progress,
) -> Rehearsal:
    found = rehearse(repository, row.name, connection, _recorder(row, progress))
    _record_rehearsal(row, found)
    return found


def _require_usable(found: Rehearsal | None) -> None:
    if found is None:
        return
    if not found.ok:
        log.error("backup.unusable", backup=found.name, reason=found.failure)
        raise BackupError(f"{found.name} is not usable. {found.failure}")
    log.info("backup.verified", backup=found.name)


def _delete_expired(repository: BackupRepository) -> list[str]:
    entries = repository.entries()
    found = retention.prune(repository, entries)
    if found:
        log.info("backup.deleted", backups=found)
    _compare_history([one for one in entries if one.name not in found])
    return found


def _record(backup: Backup, summary: BackupSummary) -> None:
    backup.state, backup.step, backup.error = BackupState.STORED, "", ""
    backup.size, backup.tables, backup.rows = summary.size, summary.tables, summary.rows
    backup.finished_at = summary.made_at
    _save(backup)


def _record_rehearsal(backup: Backup, found: Rehearsal) -> None:
    backup.rehearsed_at, backup.verified = found.at, found.ok
    backup.steps = found.document()["steps"]
    backup.error, backup.step = found.failure, ""
    _save(backup)


def _save(backup: Backup) -> None:
    """Save on a new connection: the last one may have been idle for hours."""
    close_old_connections()
    backup.save()


def _recorder(backup: Backup, progress: Progress) -> Progress:
    """Also writes each new step into the row, for the admin."""

    def report(step: str, done: int, of: int) -> None:
        progress(step, done, of)
        if step != backup.step:
            backup.step = step
            close_old_connections()
            Backup.objects.filter(pk=backup.pk).update(step=step)

    return report


@contextmanager
def _failure_recorded(backup: Backup) -> Iterator[None]:
    """Log and record an error of the block; a backup that is not stored has failed."""
    try:
        yield
    except BaseException as error:
        text = str(error) or type(error).__name__
        damaged = isinstance(error, DamagedBackup)
        event = "backup.damaged" if damaged else "backup.failed"
        log.error(event, backup=backup.name, reason=text)
        backup.error, backup.step = text, ""
        if damaged:
            backup.verified = False
        if backup.state == BackupState.RUNNING:
            backup.state, backup.finished_at = BackupState.FAILED, timezone.now()
        # Without a database it is marked as dead later.
        with suppress(DatabaseError):
            _save(backup)
        raise


def _compare_history(entries: list[StoredBackup]) -> None:
    """Mark rows whose backup is gone, add those of unknown ones, and log damage.

    A restored database has no rows of later backups, and its own is still under way.
    """
    stored = {one.name: one for one in entries if not one.unfinished}
    rows = Backup.objects.filter(state=BackupState.STORED)
    rows.exclude(name__in=stored).update(state=BackupState.DELETED)
    known = dict(rows.filter(name__in=stored).values_list("name", "verified"))
    for name, entry in stored.items():
        if entry.problem:
            log.error("backup.damaged", backup=name, reason=entry.problem)
            rows.filter(name=name).update(verified=False, error=entry.problem)
        elif entry.summary and (name not in known or known[name] != entry.passed):
            _record_found(entry, entry.summary)


def _record_found(entry: StoredBackup, summary: BackupSummary) -> None:
    row = Backup.objects.filter(name=entry.name).first() or Backup(
        name=entry.name, started_at=summary.made_at, by="storage"
    )
    row.verified = None
    _record(row, summary)
    if entry.rehearsal is not None:
        _record_rehearsal(row, entry.rehearsal)
