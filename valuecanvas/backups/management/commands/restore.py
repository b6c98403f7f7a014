"""`manage.py restore`: puts a backup in place of the database."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from valuecanvas.backups.command import LATEST, BackupCommand, resolve_name
from valuecanvas.backups.errors import BackupError
from valuecanvas.backups.repository import BackupRepository
from valuecanvas.backups.restoration import Restored, restore
from valuecanvas.core.audit.record import record
from valuecanvas.core.models import AuditEntry
from valuecanvas.embedded import secrets
from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.secrets import NAMES
from valuecanvas.embedded.state_files import private_folder

KEYS_FILE = "restored-keys.env"


class Command(BackupCommand):
    help = (
        "Restore a backup beside the database, check it, and put it in its place. The "
        "former database is kept under another name. Stop the web and worker processes "
        "first."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "name", nargs="?", default=LATEST, help="Default: the newest."
        )
        parser.add_argument(
            "--replace", action="store_true", help="Also if the database has tables."
        )

    def run(self, **options: Any) -> str:
        repository = BackupRepository()
        name = resolve_name(repository, options["name"])
        with self.progress() as progress:
            done = restore(
                repository, name, replace=options["replace"], progress=progress
            )
        if done.kept:
            self.stdout.write(f"The former database is kept as {done.kept}.")
        if done.changed_keys:
            self._take_over(done)
        # A backup of an earlier version has no audit.
        if AuditEntry._meta.db_table in connection.introspection.table_names():
            record("backup.restored", kind="backups.backup", label=name)
        return f"{name}: restored, {done.summary.rows} rows"

    def _take_over(self, done: Restored) -> None:
        """Make the backup's keys those of this installation, as far as possible."""
        folder = Path(settings.VAR_DIR)
        try:
            self._write_keys(done, folder)
        except (OSError, EngineError) as error:
            raise BackupError(
                f"The database is restored, but its keys could not be written: {error}. "
                "Correct that, and restore once more with --replace."
            ) from error

    def _write_keys(self, done: Restored, folder: Path) -> None:
        if not any(
            f"{name}{end}" in os.environ for name in NAMES for end in ("", "_FILE")
        ):
            secrets.replace(folder, done.keys)
            self.stdout.write(f"The keys in {folder} are now those of the backup.")
            return
        path = private_folder(folder) / KEYS_FILE
        # A new file: an old one may be readable by others.
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.writelines(f"{name}={done.keys[name]}\n" for name in done.changed_keys)
        self.warn(
            f"The backup has other keys: set {', '.join(done.changed_keys)} to the values "
            f"in {path} before you start the server, then delete that file."
        )
