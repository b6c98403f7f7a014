"""Errors of backups; the text says what to do."""


class BackupError(Exception):
    """A backup could not be made, read or restored."""


class DamagedBackup(BackupError):
    """A file of the backup is missing, was changed, or is of another key."""
