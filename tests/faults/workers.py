"""Celery worker processes that can be killed and started again."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from tests.faults.web import CRASHES

STOP_S = 60.0


@dataclass
class WorkerProcess:
    """One Celery worker; the first of several has the beat too."""

    folder: Path
    env: Mapping[str, str]
    name: str
    beat: bool = False
    application: str = "tests.faults.poison"
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        path = self.folder / f"worker-{self.name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def crashes(self) -> list[str]:
        """Lines of the log that tell of an error nobody foresaw."""
        return [line for line in self.log.splitlines() if CRASHES.search(line)]

    def start(self, **env: str) -> None:
        # One that killed itself has left its beat behind.
        self.kill()
        command = [
            sys.executable, "-m", "celery", "--quiet", "-A", self.application, "worker",
            "--hostname", f"{self.name}@%h", *(["-B"] if self.beat else []),
        ]  # fmt: skip
        with (self.folder / f"worker-{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env={**os.environ, **self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """kill -9, with the process of its beat."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not go."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_S)
        self.kill()
