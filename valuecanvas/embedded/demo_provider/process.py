"""The demo provider as a child process, for tests, drills and the bench."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

import orjson

from valuecanvas.embedded.demo_provider.send_log import Attempt, read_attempts

_PROJECT = Path(__file__).resolve().parents[3]
_STOP_SECONDS = 10
_REFEREE_SECONDS = 10.0
_POLL_SECONDS = 0.005


class DemoProcess:
    """A running demo provider under control; `url` ends in `/v1`."""

    def __init__(
        self, process: subprocess.Popen[str], url: str, referee: Path | None
    ) -> None:
        self._process = process
        self._referee = referee
        self.url = url
        self.port = urlsplit(url).port or 0

    @property
    def pid(self) -> int:
        """The process id, for measuring or killing it."""
        return self._process.pid

    def attempts(self) -> list[Attempt]:
        """What the referee wrote down so far."""
        return read_attempts(self._referee) if self._referee else []

    def ended_attempts(self) -> list[Attempt]:
        """The attempts once none is under way any more. Raises TimeoutError."""
        return self._once(lambda attempts: all(a.how for a in attempts))

    def attempt(self, name: str) -> Attempt:
        """The last attempt of that id, once it ended. Raises TimeoutError.

        A client may well have the whole answer before the referee's last line is
        written, since only what the socket took is written down.
        """

        def is_there(attempts: list[Attempt]) -> bool:
            found = [a for a in attempts if a.attempt == name]
            return bool(found) and all(a.how for a in found)

        return [a for a in self._once(is_there) if a.attempt == name][-1]

    def stats(self) -> dict[str, Any]:
        """Per model: `requests`, `in_flight`, `ends`."""
        return self._call("GET", "/_stats")

    def override(self, model: str, behaviour: str) -> None:
        """Makes `model` (`*` is any) behave as named. Raises ValueError if refused."""
        self._call("POST", "/_control", {"model": model, "behaviour": behaviour})

    def reset(self, model: str | None = None) -> None:
        """Drops one override; or all, with the counts and the flaky patterns."""
        query = "" if model is None else f"?model={quote(model, safe='')}"
        self._call("DELETE", f"/_control{query}")

    @contextmanager
    def behaving(self, model: str, behaviour: str) -> Iterator[None]:
        """Overrides `model` while the block runs."""
        self.override(model, behaviour)
        try:
            yield
        finally:
            self.reset(model)

    def stop(self) -> None:
        """Ends the process and waits for it; a second call does nothing."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _once(self, happened: Callable[[list[Attempt]], bool]) -> list[Attempt]:
        """The attempts as soon as that happened."""
        deadline = time.monotonic() + _REFEREE_SECONDS
        while not happened(attempts := self.attempts()):
            if time.monotonic() > deadline:
                raise TimeoutError("The referee did not see that.")
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
    *, referee: Path | None = None, port: int = 0, control: bool = True
) -> Iterator[DemoProcess]:
    """Starts a demo provider, yields it once it listens, and stops it.

    Should this process die, the provider notices its standard input ending and goes.
    """
    command = [
        sys.executable,
        "-m",
        "valuecanvas.embedded.demo_provider",
        "--exit-with-stdin",
    ]
    command += ["--port", str(port)]
    command += ["--control"] if control else []
    command += ["--referee", str(referee)] if referee else []
    with subprocess.Popen(
        command,
        cwd=_PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            url = _announced(process.stdout)
            demo = DemoProcess(process, url, referee)
            yield demo
            demo.stop()
        finally:
            process.kill()


def _announced(output: IO[str] | None) -> str:
    line = output.readline() if output else ""
    url = line.rpartition(" ")[2].strip()
    if not url.startswith("http"):
        raise RuntimeError(f"The demo provider did not start: {line!r}")
    return url
