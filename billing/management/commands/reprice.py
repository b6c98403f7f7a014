"""Re-price requests that were billed at a stand-in price."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing.pricing import reprice
from valuecanvas.core import money


class Command(BaseCommand):
    help = (
        "Correct the requests marked unpriced whose model has a price for their time by "
        "now. Without --apply it only shows what would change."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--apply", action="store_true", help="Book the corrections."
        )

    def handle(self, *args: Any, **options: Any) -> str:
        result = reprice.apply() if options["apply"] else reprice.preview()
        for line in result.lines.values():
            self.stdout.write(
                f"{line.provider} {line.upstream_model}: {line.requests} requests, "
                f"billed ${money.text(line.billed)}, "
                f"difference ${money.text(line.delta)}, "
                f"to us ${money.text(line.provider_delta)}"
            )
            if line.uncharged:
                left = money.text(line.uncharged)
                self.stdout.write(f"  ${left} not charged: no room in a budget")
        for (provider, model), count in result.waiting.items():
            self.stdout.write(
                f"{provider} {model}: {count} requests wait for a price that begins "
                "before them"
            )
        verb = "Corrected" if options["apply"] else "Would correct"
        total = f"{verb} {result.requests} requests by ${money.text(result.delta)}."
        return total if options["apply"] else f"{total} Book it with --apply."
