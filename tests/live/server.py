"""The gateway as a process of its own, as production runs it: uvicorn and SIGTERM."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connections

from valuecanvas import serve
from valuecanvas.embedded.processes import free_port

START_S = 180
STOP_S = 30


@dataclass
class LiveServer:
    """A running gateway. `url` has no path; `log` is all that it wrote."""

    url: str
    port: int
    log_path: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        return self.log_path.read_text()

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


def database_url() -> str:
    """The URL of the database that the tests themselves use."""
    it = connections["default"].settings_dict
    password = f":{quote(it['PASSWORD'])}" if it["PASSWORD"] else ""
    host = quote(it["HOST"], safe="")
    port = f":{it['PORT']}" if it["PORT"] else ""
    return f"postgresql://{quote(it['USER'])}{password}@{host}{port}/{it['NAME']}"


@contextmanager
def live_server(
    folder: Path, env: Mapping[str, str], wait_for: str = "/health/ready"
) -> Iterator[LiveServer]:
    """Start a gateway with `env` on top of this process's, and end it by SIGTERM."""
    port, log_path = free_port(), folder / "server.log"
    command = serve.command("--host", "127.0.0.1", "--port", str(port))
    with (
        log_path.open("wb") as log,
        subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        server = LiveServer(f"http://127.0.0.1:{port}", port, log_path, process)
        try:
            _wait(server, wait_for)
            yield server
        finally:
            _end(process)


def _wait(server: LiveServer, path: str) -> None:
    deadline = time.monotonic() + START_S
    while server.status(path) != 200:
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"The gateway did not start:\n{server.log}")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
