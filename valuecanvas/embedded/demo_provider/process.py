"""The demo provider as a child process, for tests, drills and the bench."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from valuecanvas.embedded.demo_provider.send_log import Attempt, read_attempts

_PROJECT = Path(__file__).resolve().parents[3]
_STOP_SECONDS = 10
_LOG_SECONDS = 10.0
_POLL_SECONDS = 0.005


class DemoProcess:
    """A running demo provider under control; `url` ends in `/v1`."""

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

    def ended_attempts(self) -> list[Attempt]:
        """The attempts once none is under way any more. Raises TimeoutError."""
        return self._wait_for_log(lambda attempts: all(a.outcome for a in attempts))

    def attempt(self, name: str) -> Attempt:
        """The last attempt of that id, once it ended. Raises TimeoutError.

        A client may well have the whole answer before the log's last line is
        written, since only what the socket took is written down.
        """

        def is_there(attempts: list[Attempt]) -> bool:
            found = [a for a in attempts if a.attempt == name]
            return bool(found) and all(a.outcome for a in found)

        return [a for a in self._wait_for_log(is_there) if a.attempt == name][-1]

    def stats(self) -> dict[str, Any]:
        """Per model: `requests` and `in_flight`."""
        return self._call("GET", "/_stats")

    def override(self, model: str, behaviour: str) -> None:
        """Makes `model` behave as named. Raises ValueError if refused."""
        self._call("POST", "/_control", {"model": model, "behaviour": behaviour})

    @contextmanager
    def behaving(self, model: str, behaviour: str) -> Iterator[None]:
        """Overrides `model` while the block runs."""
        self.override(model, behaviour)
        try:
            yield
        finally:
            self._call("DELETE", f"/_control?model={quote(model, safe='')}")

    def _wait_for_log(
        self, condition: Callable[[list[Attempt]], bool]
    ) -> list[Attempt]:
        """The attempts as soon as they meet the condition."""
        deadline = time.monotonic() + _LOG_SECONDS
        while not condition(attempts := self.attempts()):
            if time.monotonic() > deadline:
                raise TimeoutError("The send log does not have that.")
            time.sleep(_POLL_SECONDS)
        return attempts

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
    """Starts a demo provider, yields it once it listens, and stops it.

    Should this process die, the provider notices its standard input ending and goes.
    """
    command = [sys.executable, "-m", "valuecanvas.embedded.demo_provider"]
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
