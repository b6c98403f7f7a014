"""`manage.py local_model`: serves the embedded language model."""

import os
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from valuecanvas.embedded import local_model


class Command(BaseCommand):
    help = "Serve a small language model on this machine's CPU, on loopback."
    requires_system_checks = []  # it uses neither the database nor the URLs

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=0, help="0: any free one.")

    def handle(self, *, port: int, **options: Any) -> None:
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        server = local_model.start(port)
        self.stdout.write(f"Local model: {server.listening_address}/v1")
        self.stdout.flush()
        stopped.wait()
        # llama.cpp's own shutdown waits up to 30 s for running answers.
        os._exit(0)
