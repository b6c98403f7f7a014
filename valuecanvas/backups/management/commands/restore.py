"""`manage.py restore`: puts a backup in place of the database."""

import os
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from valuecanvas.backups.command import LATEST, BackupCommand, resolve_name
from valuecanvas.backups.repository import BackupRepository
from valuecanvas.backups.restoration import restore

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
            path = _write_keys(done.changed_keys)
            self.warn(
                f"The backup has other keys: {path} holds "
                f"{', '.join(done.changed_keys)}. Set them before you start the server, "
                "then delete the file."
            )
        return f"{name}: restored, {done.summary.rows} rows"


def _write_keys(keys: Mapping[str, str]) -> Path:
    path = Path(settings.VAR_DIR) / KEYS_FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in keys.items())
    return path
