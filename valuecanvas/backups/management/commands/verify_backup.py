"""`manage.py verify_backup`: proves a backup by restoring it."""

from argparse import ArgumentParser
from typing import Any

from valuecanvas.backups import runs
from valuecanvas.backups.command import LATEST, BackupCommand, resolve_name
from valuecanvas.backups.repository import BackupRepository


class Command(BackupCommand):
    help = (
        "Restore a backup into a database of its own, compare every table with the "
        "dump's snapshot, add up the ledger, decrypt the stored keys and serve a request. "
        "Exits with 1 if a check fails."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "name", nargs="?", default=LATEST, help="Default: the newest."
        )

    def run(self, **options: Any) -> str:
        repository = BackupRepository()
        name = resolve_name(repository, options["name"])
        with self.progress() as progress:
            found = runs.verify_one(repository, name, by="command", progress=progress)
        for step in found.steps:
            self.stdout.write(f"ok  {step.name}: {step.detail} ({step.seconds} s)")
        return f"{name}: verified"
