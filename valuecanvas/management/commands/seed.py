"""Create the first rows of an installation that `make run` does not set up."""

from typing import Any

from django.core.management.base import BaseCommand

from llm.setup import seed


class Command(BaseCommand):
    help = "Create the first tiers, providers, models, prices, prompts and flags, once."

    def handle(self, **options: Any) -> None:
        created = seed.fill()
        self.stdout.write(
            "Created the first rows." if created else "Nothing to create."
        )
