"""Write prompts as folders of YAML."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from prompts.models import Prompt
from prompts.transfer.export import export


class Command(BaseCommand):
    help = (
        "Write prompts with their versions and labels as YAML, a folder for each. Files "
        "that say the same already are left alone; nothing is deleted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="Made where it is missing.")
        parser.add_argument(
            "--prompt",
            action="append",
            default=[],
            metavar="KEY",
            help="Only this one.",
        )

    def handle(self, *args: Any, **options: Any) -> str:
        keys: list[str] = options["prompt"]
        known = Prompt.objects.filter(key__in=keys).values_list("key", flat=True)
        if missing := sorted(set(keys) - set(known)):
            raise CommandError(f"There is no prompt '{missing[0]}'.")
        try:
            done = export(options["folder"], keys)
        except OSError as error:
            raise CommandError(str(error)) from None
        return f"Exported {done.prompts} prompts: {done.written} files written."
