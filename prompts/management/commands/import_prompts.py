"""Put folders of YAML, as export_prompts writes them, into the database."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from prompts.management.operator import operator
from prompts.transfer.changes import Refused, compare
from prompts.transfer.files import BadFile, read
from prompts.transfer.load import load


class Command(BaseCommand):
    help = (
        "Add the prompts and versions that the database lacks, and move labels to where "
        "the files say; all or nothing. A second run changes nothing. Prompts, versions "
        "and labels that the files don't have stay."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--dry-run", action="store_true", help="Only show what would change."
        )

    def handle(self, *args: Any, **options: Any) -> str:
        try:
            files = read(options["folder"])
            if options["dry_run"]:
                changes = [one for one in compare(files) if one]
            else:
                changes = load(files, actor=operator())
        except (BadFile, Refused) as error:
            raise CommandError(str(error)) from None
        for one in changes:
            for line in one.lines():
                self.stdout.write(line)
        verb = "Would change" if options["dry_run"] else "Changed"
        return f"{verb} {len(changes)} of {len(files)} prompts."
