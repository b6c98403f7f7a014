"""Archive old months of the ledger."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.usage import archive
from billing.usage.archive import ArchiveError


class Command(BaseCommand):
    help = (
        "Export the months of the ledger that are older than USAGE_KEEP_MONTHS to "
        "USAGE_ARCHIVE_DIR, verify each file, then remove the month from the database. "
        "The periodic task does the same every night."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Only name the months that are due."
        )

    def handle(self, *args: Any, **options: Any) -> str:
        if options["dry_run"]:
            names = [one.name for one in archive.due_partitions()]
            return f"Due: {', '.join(names) or 'nothing'}. Nothing was changed."
        try:
            made = archive.archive_due()
        except (ArchiveError, OSError) as error:
            raise CommandError(str(error)) from error
        for one in made:
            self.stdout.write(f"{one.name}: {one.rows} rows in {one.path}")
        return f"Archived: {len(made)}."
