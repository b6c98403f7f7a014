"""Make flags of YAML."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from flags import exchange
from flags.actor import COMMAND


class Command(BaseCommand):
    help = (
        "Make or edit the flags of a file that `export_flags` wrote: all or none. "
        "Flags that it does not name stay. A second run changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="The file, or - for standard input.")
        parser.add_argument("--reason", default="", help="For the audit.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Only say what would change."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = exchange.imported(
                exchange.parsed(_text(options["file"])),
                actor=COMMAND,
                reason=options["reason"],
                dry=options["dry_run"],
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        for name, what in done.items():
            if what != "unchanged":
                self.stdout.write(f"{what} {name}")
        counts = Counter(done.values())
        begin = "Would have created" if options["dry_run"] else "Created"
        self.stdout.write(
            f"{begin} {counts['created']}, changed {counts['changed']}, "
            f"left {counts['unchanged']} as they were."
        )


def _text(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read.") from error
