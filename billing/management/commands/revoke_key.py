"""Revoke an API key permanently."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing.auth import keys
from billing.management.named_key import named_key


class Command(BaseCommand):
    help = "Refuse an API key from now on. This cannot be undone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prefix", help="The 12 characters after 'vc-'.")

    def handle(self, *args: Any, **options: Any) -> str:
        key = named_key(options["prefix"])
        keys.revoke(key)
        return f"Revoked {key}, at {key.revoked_at:%Y-%m-%d %H:%M} UTC."
