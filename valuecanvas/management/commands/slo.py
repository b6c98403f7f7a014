"""`manage.py slo`: the performance targets against the figures of a span of time."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from valuecanvas.performance import measurement, targets
from valuecanvas.performance.targets import Target, TargetState


class Command(BaseCommand):
    help = (
        "Print each performance target (TARGET_... settings) beside what was found. "
        "With --check it exits with 1 if one is missed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--span",
            choices=[*measurement.SPANS],
            default=measurement.USUAL,
            help="Default: %(default)s.",
        )
        parser.add_argument(
            "--format",
            choices=["table", "json"],
            default="table",
            help="Default: %(default)s.",
        )
        parser.add_argument("--check", action="store_true", help="Exit with 1 if missed.")  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        span = measurement.SPANS[options["span"]]
        try:
            found = measurement.measure(span)
        except DatabaseError as error:
            raise CommandError(
                f"The database did not give the figures: {error}".strip()
                + " Try a shorter --span."
            ) from error
        rows = targets.judge(found)
        if options["format"] == "json":
            until = found.until and found.until.isoformat()
            head = {"span": options["span"], "at": found.at.isoformat(), "until": until, "requests": found.total.usage.requests}  # fmt: skip
            shown = {**head, "targets": [one.row() for one in rows]}
            self.stdout.write(json.dumps(shown, indent=2))
        else:
            self._print(span.title, found.total.usage.requests, rows)
        if options["check"] and any(one.state is TargetState.MISSED for one in rows):
            sys.exit(1)

    def _print(self, title: str, requests: int, rows: list[Target]) -> None:
        self.stdout.write(f"{title}: {requests:,} requests")
        for one in rows:
            wanted = f"{one.wanted} {one.target:g} {one.unit}"
            found = "no figure" if one.found is None else f"{one.found:.4g} {one.unit}"
            line = f"{one.title:<28}{wanted:<24}{found:<20}{one.state}"
            self.stdout.write(f"{line}: {one.note}" if one.note else line)
