"""Check the ledger: counters, reservations and requests against each other."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.accounting import reconcile
from billing.models import LedgerCheck

SHOWN = 10


class Command(BaseCommand):
    help = (
        "Check the ledger's invariants and print them. Exits with 1 on any drift. "
        "Nothing is ever changed but the history of checks."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        span = parser.add_mutually_exclusive_group()
        span.add_argument(
            "--days",
            type=int,
            default=reconcile.DAYS,
            metavar="N",
            help="The last N UTC days, today included. Default: %(default)s.",
        )
        span.add_argument("--all", action="store_true", help="Every day there is.")
        parser.add_argument(
            "--fix-nothing",
            action="store_true",
            help="Changes nothing: a check never does. For scripts that want to say so.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["days"] <= 36_500:
            raise CommandError("--days must be from 1 to 36500.")
        done = reconcile.run("command", None if options["all"] else options["days"])
        self._print(done)
        if not done.ok:
            sys.exit(1)

    def _print(self, done: LedgerCheck) -> None:
        findings = reconcile.findings_of(done)
        first = done.first_day or "the first day"
        self.stdout.write(f"{'invariant':<14}{'checked':>12}{'drifting':>12}")
        for one in findings:
            line = f"{one.invariant.name:<14}{one.checked:>12}{one.drifted:>12}"
            self.stdout.write(line)
            for row in one.rows[:SHOWN]:
                self.stdout.write(
                    f"  {row.scope}:{row.scope_id} {row.day} {row.row}".rstrip()
                    + f" expected {row.expected}, found {row.found}"
                )
            if one.drifted > SHOWN:
                self.stdout.write(f"  and {one.drifted - SHOWN} more")
        verdict = "no drift" if done.ok else "DRIFT: see Ledger health in the admin"
        self.stdout.write(f"From {first} to {done.last_day}: {verdict}.")
