"""`manage.py prune_backups`: deletes backups past their retention."""

from argparse import ArgumentParser
from typing import Any

from valuecanvas.backups import runs
from valuecanvas.backups.command import BackupCommand
from valuecanvas.backups.repository import BackupRepository


class Command(BackupCommand):
    help = (
        "Delete backups older than BACKUP_RETENTION_DAYS. The newest verified one always "
        "stays; while none is verified, all stay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Only show what would be deleted."
        )

    def run(self, **options: Any) -> str:
        dry = options["dry_run"]
        found = runs.delete_expired(BackupRepository(), dry=dry)
        for name in found:
            self.stdout.write(name)
        return f"{'Would delete' if dry else 'Deleted'} {len(found)} backups"
