"""The fault provider as a child process, and what its send log says."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

_PROJECT = Path(__file__).resolve().parents[1]
_STOP_SECONDS = 10
_LOG_SECONDS = 10.0
_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call as the send log has it.

    `outcome` is None while it goes on (or the provider was killed); `at` and `ended_at`
    are Unix seconds.
    """

    attempt: str
    model: str
    endpoint: str
    stream: bool
    prompt_tokens: int
    at: float
    tokens: int = 0
    outcome: str | None = None
    usage: dict[str, Any] | None = None
    ended_at: float | None = None


def read_attempts(folder: Path | str) -> list[Attempt]:
    """All attempts in a send log, by their start."""
    attempts = []
    for path in Path(folder).glob("*.jsonl"):
        lines = path.read_bytes().split(b"\n")[:-1]  # a torn last line is left
        values = {k: v for line in lines for k, v in orjson.loads(line).items()}
        if values:
            attempts.append(Attempt(**values))
    return sorted(attempts, key=lambda attempt: attempt.at)


class DemoProcess:
    """A running fault provider under control; `url` ends in `/v1`."""

    def __init__(
        self, process: subprocess.Popen[str], url: str, send_log: Path | None
    ) -> None:
        self._send_log = send_log
        self.url = url
        self.port = urlsplit(url).port or 0
        self.pid = process.pid

    def attempts(self) -> list[Attempt]:
        """What the send log has so far."""
        return read_attempts(self._send_log) if self._send_log else []

    def ended_attempts(self, name: str = "") -> list[Attempt]:
        """The attempts (those of that id) once they have all ended.

        A client may well have the whole answer before the log's last line is
        written, since only what the socket took is written down. Raises TimeoutError.
        """
        deadline = time.monotonic() + _LOG_SECONDS
        while time.monotonic() < deadline:
            found = [a for a in self.attempts() if name in ("", a.attempt)]
            if all(a.outcome for a in found) and (found or not name):
                return found
            time.sleep(_POLL_SECONDS)
        raise TimeoutError("The send log does not have that.")

    def attempt(self, name: str) -> Attempt:
        """The last attempt of that id, once it ended. Raises TimeoutError."""
        return self.ended_attempts(name)[-1]

    def stats(self) -> dict[str, Any]:
        """Per model: `requests` and `in_flight`."""
        return self._call("GET", "/_stats")

    def override(self, model: str, behaviour: str) -> None:
        """Makes `model` behave as named, or as before by its own name.

        Raises ValueError if refused.
        """
        self._call("POST", "/_control", {"model": model, "behaviour": behaviour})

    @contextmanager
    def behaving(self, model: str, behaviour: str) -> Iterator[None]:
        """Overrides `model` while the block runs."""
        self.override(model, behaviour)
        try:
            yield
        finally:
            self.override(model, model)

    def _call(
        self, method: str, path: str, body: dict[str, str] | None = None
    ) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, orjson.dumps(body) if body else None)
            response = connection.getresponse()
            answer: dict[str, Any] = orjson.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(answer["error"]["message"])
        return answer


@contextmanager
def demo_process(
    *, send_log: Path | None = None, port: int = 0, control: bool = True
) -> Iterator[DemoProcess]:
    """Starts a fault provider, yields it once it listens, and stops it.

    Should this process die, the provider notices its standard input ending and goes.
    """
    command = [sys.executable, "-m", "tests.fault_provider"]
    command += ["--exit-with-stdin", "--port", str(port)]
    command += ["--control"] if control else []
    command += ["--send-log", str(send_log)] if send_log else []
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=_PROJECT, stdin=pipe, stdout=pipe, text=True
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            url = line.rpartition(" ")[2].strip()
            if not url.startswith("http"):
                raise RuntimeError(f"The demo provider did not start: {line!r}")
            yield DemoProcess(process, url, send_log)
            process.terminate()
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
