"""Let a locked account or address log in again."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from valuecanvas.core.access import login_failures


class Command(BaseCommand):
    help = "Forget the failed logins of an account or an address: it may log in again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="A user name or an address, as in the log.")

    def handle(self, *args: Any, **options: Any) -> str:
        found = login_failures.unlock(options["name"])
        return "Unlocked." if found else "Nothing is counted under that name."
