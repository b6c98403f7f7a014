"""Unlock a locked account or address."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from valuecanvas.core.access import login_failures


class Command(BaseCommand):
    help = "Unlock an account or an address: delete its failed logins."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="A user name or an address, as in the log.")

    def handle(self, *args: Any, **options: Any) -> str:
        found = login_failures.unlock(options["name"])
        return "Unlocked." if found else "There are no failed logins under that name."
