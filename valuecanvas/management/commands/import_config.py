"""`manage.py import_config`: reads the tree that export_config writes."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from prompts.management.operator import operator
from valuecanvas.config_tree.tree_import import import_tree
from valuecanvas.core.transfer.commands import ImportCommand, Imported

DIFFERS = 2


class Command(ImportCommand):
    help = (
        "Bring all configuration to what the files of export_config say, in one "
        "transaction, and print the difference: + new, ~ changed, - deleted, = stays. A "
        "second run changes nothing."
    )
    noun = "rows"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--delete", action="store_true", help="Delete what the files lack."
        )
        parser.add_argument(
            "--exit-code",
            action="store_true",
            help=f"Exit with {DIFFERS} if files and database differ.",
        )

    def load(self, folder: Path, *, reason: str, dry: bool) -> Imported:
        done = import_tree(
            folder, actor=operator(), reason=reason, delete=self._delete, dry=dry
        )
        self._differs = bool(done.lines or done.notes)
        return done

    def handle(self, *args: Any, **options: Any) -> str:
        self._delete = options["delete"]
        result = super().handle(*args, **options)
        if options["exit_code"] and self._differs:
            self.stdout.write(result)
            sys.exit(DIFFERS)
        return result
