"""`manage.py rollback_prompt`: moves `production` to an earlier version."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from prompts import services
from prompts.management.operator import operator
from prompts.models import Prompt


class Command(BaseCommand):
    help = (
        "Move a prompt's label `production` back to its last version, or to another one. "
        "It applies from the next request on, and ends a gradual rollout."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="The prompt, e.g. canvas.generate")
        parser.add_argument(
            "--to", type=int, metavar="N", help="The version; by default the last one."
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
        return f"{prompt.key}: production is now version {label.version.number}."
