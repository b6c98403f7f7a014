"""`manage.py demo_provider`: runs the demo provider."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from valuecanvas.embedded.demo_provider.__main__ import (
    add_arguments,
    announce,
    read_options,
)
from valuecanvas.embedded.demo_provider.server import serve


class Command(BaseCommand):
    """Serves until SIGINT or SIGTERM."""

    help = "Run the demo provider: an OpenAI-compatible server on loopback."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declares the options."""
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serves; the first line of output is the URL."""
        try:
            serve(read_options(options), announce)
        except OSError as error:
            raise CommandError(str(error)) from error
