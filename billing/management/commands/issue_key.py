"""Issue an API key; its text is shown only once."""

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from billing.auth import customers, keys
from billing.models import Scope


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


class Command(BaseCommand):
    help = "Issue an API key for a user, who is added if new. The key is shown once."

    def add_arguments(self, parser: CommandParser) -> None:
        known = ", ".join(Scope.values)
        parser.add_argument("--user", required=True, help="The user's id.")
        parser.add_argument("--team", default="", help="Key of the user's team.")
        parser.add_argument("--tier", default="", help="For a user who is new.")
        parser.add_argument("--name", default="issue_key", help="Where it is used.")
        parser.add_argument(
            "--scopes", type=words, default=["llm"], help=f"With commas: {known}."
        )
        parser.add_argument(
            "--models",
            type=words,
            default=[],
            help="With commas. Default: every model.",
        )
        parser.add_argument(
            "--expires", type=int, metavar="DAYS", help="Default: never."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                customer = customers.get_or_add(
                    user_id=options["user"], team=options["team"], tier=options["tier"]
                )
                _, text = keys.issue(
                    customer=customer,
                    name=options["name"],
                    scopes=options["scopes"],
                    allowed_models=options["models"],
                    expires_at=_end(options["expires"]),
                )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        # On standard error, so that a script can read the key alone.
        self.stderr.write("Keep this key now: it cannot be shown again.")
        self.stdout.write(text)


def _end(days: int | None) -> datetime | None:
    if days is None:
        return None
    if not 1 <= days <= 36_500:
        raise CommandError("--expires must be from 1 to 36500 days.")
    return timezone.now() + timedelta(days=days)
