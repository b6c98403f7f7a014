"""`manage.py backup`: makes a backup and proves it by restoring it."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings

from valuecanvas.backups import encryption, runs
from valuecanvas.backups.command import BackupCommand


class Command(BackupCommand):
    help = (
        "Back up the whole database, encrypted, and restore it into a database of its "
        "own to check it. Then delete expired backups."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--no-verify", action="store_true", help="Do not restore it for trial."
        )
        parser.add_argument(
            "--new-key", action="store_true", help="Only print a new BACKUP_KEY."
        )

    def run(self, **options: Any) -> str:
        if options["new_key"]:
            return encryption.new_key()
        verify = not options["no_verify"]
        with self.progress() as progress:
            done = runs.make(runs.begin("command"), verify=verify, progress=progress)
        if not settings.BACKUP_WITH_KEYS:
            self.warn(
                "It contains no keys: keep SECRET_KEY, KEY_PEPPER and FIELD_KEY. Without "
                "them API keys and stored provider keys are lost."
            )
        state = "verified" if done.verified else "not verified"
        return f"{done.name}: {done.rows} rows, {done.size} bytes, {state}"
