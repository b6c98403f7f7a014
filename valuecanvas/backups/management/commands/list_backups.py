"""`manage.py list_backups`: the backups in the storage, without a database."""

from argparse import ArgumentParser
from typing import Any

from valuecanvas.backups.command import BackupCommand
from valuecanvas.backups.errors import BackupError
from valuecanvas.backups.repository import BackupRepository, StoredBackup


class Command(BackupCommand):
    help = "List the backups in the storage. Exits with 1 if one is damaged."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="Only the names.")

    def run(self, **options: Any) -> str:
        entries = BackupRepository().entries()
        for one in entries:
            self.stdout.write(one.name if options["quiet"] else _line(one))
        damaged = [one for one in entries if one.problem and not one.unfinished]
        if damaged:
            raise BackupError(f"{len(damaged)} of {len(entries)} backups are damaged.")
        return "" if options["quiet"] else f"{len(entries)} backups"


def _line(entry: StoredBackup) -> str:
    if entry.summary is None or entry.problem:
        return f"{entry.name}  {entry.problem}"
    state = "verified" if entry.verified else "not verified"
    if entry.rehearsal is not None and not entry.rehearsal.ok:
        state = f"NOT USABLE: {entry.rehearsal.failure}"
    one = entry.summary
    return f"{one.name}  {one.size:>14,} bytes  {one.rows:>12,} rows  {state}"
