"""`manage.py check_restored`: the checks of a restored copy. It adds rows to it."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from valuecanvas import restore_check
from valuecanvas.backups.errors import BackupError
from valuecanvas.backups.postgresql.databases import MARK
from valuecanvas.backups.types import RehearsalStep

CHECKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("Add up the ledger", restore_check.check_ledger),
    ("Decrypt stored keys", restore_check.check_secrets),
    ("Serve a request", restore_check.check_request),
)


class Command(BaseCommand):
    help = (
        "Used by backup and verify_backup: checks a restored copy, and prints a line of "
        "JSON for each check. It refuses any other database."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if MARK not in connection.settings_dict["NAME"]:
            raise CommandError("This is not a restored copy: verify_backup makes one.")
        for name, check in CHECKS:
            started = time.monotonic()
            try:
                detail, ok = check(), True
            except BackupError as error:
                detail, ok = str(error), False
            step = RehearsalStep(name, ok, detail, round(time.monotonic() - started, 1))
            self.stdout.write(json.dumps(asdict(step)))
            if not ok:
                return
