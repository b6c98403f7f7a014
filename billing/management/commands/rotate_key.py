"""Replace an API key with a new one; the new text is shown only once."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.auth import keys
from billing.management.named_key import named_key


class Command(BaseCommand):
    help = "Replace an API key. The old one works until the overlap has passed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prefix", help="The 12 characters after 'vc-'.")
        parser.add_argument(
            "--overlap",
            type=float,
            default=24.0,
            metavar="HOURS",
            help="How long both work. Default: %(default)s.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        old = named_key(options["prefix"])
        try:
            _, text = keys.rotate(old, timedelta(hours=options["overlap"]))
        except (ValidationError, OverflowError, ValueError) as error:
            messages = getattr(error, "messages", ["--overlap is out of range."])
            raise CommandError(" ".join(messages)) from error
        self.stderr.write(
            f"The old key works until {old.expires_at:%Y-%m-%d %H:%M} UTC. "
            "Keep the new one now: it cannot be shown again."
        )
        self.stdout.write(text)
