"""`manage.py status`: how each part of the installation fares, also without its database."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from valuecanvas.status.status_report import run_checks


class Command(BaseCommand):
    help = (
        "Print the state of every part (database, Redis, providers, queue, periodic tasks, "
        "backups, ledger, disks, migrations). Exits with 1 if one is failing."
    )
    # It must also run while the database is down.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--format",
            choices=["table", "json"],
            default="table",
            help="Default: %(default)s.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rows = [one.shown() for one in run_checks()]
        if options["format"] == "json":
            self.stdout.write(json.dumps(rows, indent=2))
        else:
            for row in rows:
                line = f"{row['name']:<15}{row['state']:<9}{row['figure']}"
                self.stdout.write(f"{line} {row['remedy']}".rstrip())
        if any(row["state"] == "failing" for row in rows):
            sys.exit(1)
