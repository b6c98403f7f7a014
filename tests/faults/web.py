"""Web processes of the gateway that can be killed, stopped and started again."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from django.conf import settings

from valuecanvas import serve
from valuecanvas.embedded.processes import free_port

START_S = 60.0
STOP_S = 45.0
# What no log of a healthy run may hold (I6); refusals and failures have their own.
CRASHES = re.compile(r"Traceback|request\.crashed|Task exception was never")


@dataclass
class Web:
    """One process of the gateway: `uvicorn <application>` on a port that it keeps."""

    folder: Path
    env: Mapping[str, str]
    application: str = "tests.faults.inside:application"
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        path = self.folder / f"web-{self.port}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def crashes(self) -> list[str]:
        """Lines of the log that tell of an error nobody foresaw."""
        return [line for line in self.log.splitlines() if CRASHES.search(line)]

    def spawn(self, **env: str) -> None:
        """Start it, without waiting until it answers."""
        address = ("--host", "127.0.0.1", "--port", str(self.port))
        # Idle connections end before I8 is looked at.
        idle = ("--timeout-keep-alive", "5")
        command = serve.command(*address, *idle, application=self.application)
        with (self.folder / f"web-{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env={**os.environ, **self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start(self, wait_for: str = "/health/ready", **env: str) -> None:
        """Start it, and wait until GET `wait_for` answers 200."""
        self.spawn(**env)
        self.wait(wait_for)

    def wait(self, path: str = "/health/ready") -> None:
        deadline = time.monotonic() + START_S
        while self.status(path) != 200:
            if not self.alive or time.monotonic() > deadline:
                raise RuntimeError(f"The gateway did not start:\n{self.log[-4000:]}")
            time.sleep(0.05)

    def status(self, path: str) -> int:
        """The HTTP status of GET `path`; 0 where nothing listens."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, HTTPException):
            return 0
        finally:
            connection.close()

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not go; a dead one is left alone."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_S)
        self.process.kill()
        self.process.wait()

    def wait_dead(self, seconds: float) -> bool:
        """Wait until it has ended by itself."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return not self.alive


@contextmanager
def webs(made: Sequence[Web]) -> Iterator[list[Web]]:
    """The processes, started together; all ended when the block ends, however it does."""
    try:
        for web in made:
            web.spawn()
        for web in made:
            web.wait()
        yield list(made)
    finally:
        for web in made:
            if web.alive:
                os.kill(web.pid, signal.SIGCONT)
                web.process.send_signal(signal.SIGTERM)
        for web in made:
            web.stop()
