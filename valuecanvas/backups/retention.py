"""Deletes backups past their retention, and rests of unfinished ones."""

from datetime import UTC, datetime, timedelta

from django.conf import settings

from valuecanvas.backups.repository import BackupRepository, StoredBackup

# A folder without a summary may belong to a backup under way.
UNFINISHED = timedelta(days=1)


def list_expired(entries: list[StoredBackup], now: datetime) -> list[str]:
    """The names of those to delete. The newest verified one always stays.

    While none is verified, all that may be of use stay.
    """
    verified = [one.name for one in entries if one.verified]
    limit = now - timedelta(days=settings.BACKUP_RETENTION_DAYS)
    found = []
    for one in entries:
        if one.unfinished:
            delete = one.started < now - UNFINISHED
        else:
            # What cannot be read with this key stays too.
            old = one.summary is not None and one.summary.made_at < limit
            delete = old and bool(verified) and one.name != verified[-1]
        if delete:
            found.append(one.name)
    return found


def prune(repository: BackupRepository, entries: list[StoredBackup]) -> list[str]:
    """Delete those of `entries` that are expired; their names. Raises BackupError."""
    found = list_expired(entries, datetime.now(UTC))
    for name in found:
        repository.delete(name)
    return found
