"""Let in somebody who has lost every second factor."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from valuecanvas.site.door.factors import reset_factors


class Command(BaseCommand):
    help = (
        "Remove an account's authenticator app, passkeys and recovery codes, and log it "
        "out everywhere. Its password is enough for the next log-in; where ADMIN_MFA is "
        "required, a new factor is set up then. It is recorded."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The user name.")

    def handle(self, *args: Any, **options: Any) -> str:
        user = User.objects.filter(username=options["name"]).first()
        if user is None:
            raise CommandError(f"There is no user named {options['name']!r}.")
        return f"Removed {reset_factors(user)} second factors."
