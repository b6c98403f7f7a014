"""Write flags as YAML."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flags import document, exchange
from flags.models import Flag


class Command(BaseCommand):
    help = "Write flags as YAML, for `import_flags`: all that are not archived."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", help="Only these flags.")
        parser.add_argument("--output", metavar="FILE", help="Not to the screen.")

    def handle(self, *args: Any, **options: Any) -> None:
        flags = document.with_parts(Flag.objects.filter(archived=False))
        if names := options["names"]:
            flags = flags.filter(name__in=names)
            if missing := set(names) - set(flags.values_list("name", flat=True)):
                raise CommandError(f"There is no flag '{min(missing)}'.")
        text = exchange.exported(flags)
        if not options["output"]:
            self.stdout.write(text, ending="")
            return
        try:
            Path(options["output"]).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{options['output']}: {error.strerror}.") from error
        self.stdout.write(f"Wrote {flags.count()} flags.")
