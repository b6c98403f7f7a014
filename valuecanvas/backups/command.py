"""The base of the commands of backups: progress, one line of result, exit codes."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from valuecanvas.backups.errors import BackupError
from valuecanvas.backups.repository import BackupRepository
from valuecanvas.backups.types import Progress, quiet

LATEST = "latest"
WIDTH = 60


class BackupCommand(BaseCommand):
    """A subclass has `run`; its text is the last line. An error exits with 1."""

    requires_system_checks: list[str] = []
    _shown, _shown_at = "", 0.0

    def run(self, **options: Any) -> str:
        """Raises BackupError."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> str:
        try:
            return self.run(**options)
        except BackupError as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The history of backups: {error}") from error

    def warn(self, text: str) -> None:
        self.stderr.write(self.style.WARNING(text))

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A line on the terminal that shows the step; nothing elsewhere."""
        if not sys.stderr.isatty():
            yield quiet
            return
        try:
            yield self._show
        finally:
            sys.stderr.write("\r" + " " * WIDTH + "\r")

    def _show(self, step: str, done: int, of: int) -> None:
        now = time.monotonic()
        if of or step != self._shown or now - self._shown_at > 0.1:
            self._shown, self._shown_at = step, now
            if of:
                filled = 20 * done // of
                amount = f"[{'#' * filled}{'.' * (20 - filled)}] {done}/{of}"
            else:
                amount = f"{done / 1e6:.1f} MB" if done else ""
            # A log line then begins where this one does.
            sys.stderr.write(f"\r{f'{step} {amount}':<{WIDTH}}\r")
            sys.stderr.flush()


def resolve_name(repository: BackupRepository, name: str) -> str:
    """The name of a backup; `latest` is the newest usable one. Raises BackupError."""
    if name != LATEST:
        return name
    usable = [one.name for one in repository.entries() if not one.problem]
    if not usable:
        raise BackupError("There is no usable backup.")
    return usable[-1]
