"""Roll a prompt's production back."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from prompts import services
from prompts.management.operator import operator
from prompts.models import Prompt


class Command(BaseCommand):
    help = (
        "Move a prompt's label `production` back to the version before, or to another. "
        "It counts from the next request on. A gradual rollout under way ends."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="The prompt, e.g. canvas.generate")
        parser.add_argument(
            "--to", type=int, metavar="N", help="This version; else the one before."
        )
        parser.add_argument("--reason", required=True, help="Why; kept in the audit.")

    def handle(self, *args: Any, **options: Any) -> str:
        prompt = Prompt.objects.filter(key=options["key"]).first()
        if prompt is None:
            raise CommandError(f"There is no prompt '{options['key']}'.")
        try:
            label = services.rollback(
                prompt,
                actor=operator(),
                reason=options["reason"],
                to=options["to"],
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        return f"{prompt.key}: production is version {label.version.number} now."
