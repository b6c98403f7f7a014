"""Bring the rollups of the ledger up to date."""

import datetime as dt
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.usage import rollup


class Command(BaseCommand):
    help = (
        "Add the newest requests to the sums that reports read. With --rebuild the sums of "
        "each day are made again from the ledger; archived days keep theirs."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        day = dt.date.fromisoformat
        parser.add_argument("--rebuild", action="store_true", help="Sum up anew.")
        parser.add_argument(
            "--from",
            type=day,
            dest="first",
            metavar="YYYY-MM-DD",
            help="The first day.",
        )
        parser.add_argument(
            "--to", type=day, dest="last", metavar="YYYY-MM-DD", help="The last day."
        )

    def handle(self, *args: Any, **options: Any) -> str:
        if not options["rebuild"]:
            if options["first"] or options["last"]:
                raise CommandError("--from and --to go with --rebuild.")
            return (
                f"Summed up to {rollup.catch_up() or 'nothing: there are no requests'}."
            )
        days = rollup.rebuild(
            options["first"],
            options["last"],
            lambda day: self.stdout.write(f"{day}: summed up"),
        )
        return f"Days summed up: {days}."
