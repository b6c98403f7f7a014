"""Seal all stored secrets with the present FIELD_KEY."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import import_string

from valuecanvas.core.db.sealed_columns import find_columns, reseal

DONE = (
    "Every stored secret is sealed with the present FIELD_KEY. Once all processes run "
    "with it, run this again with --check; if it finds none, FIELD_KEY_PREVIOUS can be "
    "taken away a day later."
)
LEFT = "{} are sealed with an earlier key: keep FIELD_KEY_PREVIOUS, and run this again."


class Command(BaseCommand):
    help = (
        "Seal stored secrets again after FIELD_KEY was changed (the earlier key is in "
        "FIELD_KEY_PREVIOUS). The servers may run on; it can be stopped and begun again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="Only count what an earlier key has sealed; exit with 1 if there is any.",
        )

    def handle(self, *args: Any, **options: Any) -> str:
        check = options["check"]
        left = 0
        counts = [(str(one), reseal(one, write=not check)) for one in find_columns()]
        for name, path in settings.MORE_SEALED.items():
            counts.append((name, import_string(path)(write=not check)))
        for column, count in counts:
            left += count.left
            self.stdout.write(
                f"{column}: {count.resealed} sealed again, {count.left} with an earlier "
                f"key, {count.unreadable} that no key opens"
            )
        if left:
            raise CommandError(LEFT.format(left))
        if not settings.FIELD_KEY_PREVIOUS:
            return "Every stored secret is sealed with FIELD_KEY."
        return DONE
