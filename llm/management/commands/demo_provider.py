"""`manage.py demo_provider`: runs the demo provider."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from valuecanvas.embedded.demo_provider.server import DemoProvider, serve


class Command(BaseCommand):
    """Serves until SIGINT or SIGTERM."""

    help = (
        "Run the demo provider: an OpenAI-compatible server on loopback. The model's "
        "name says how it answers: slow@2s waits first, drip@50ms pauses between "
        "chunks, like@300ms:1.5s waits for half of the requests at most 300 ms and for "
        "95 % at most 1.5 s, status-503 fails; all others answer at once."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declares the options."""
        parser.add_argument("--port", type=int, default=0, help="0 takes any free port")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serves; the first line of output is the URL."""
        try:
            serve(DemoProvider(), options["port"], self.announce)
        except OSError as error:
            raise CommandError(str(error)) from error

    def announce(self, line: str) -> None:
        """Prints a line without buffering, since a parent may wait for it."""
        self.stdout.write(line)
        self.stdout.flush()
