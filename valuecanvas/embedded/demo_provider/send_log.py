"""The send log: for each call, a file of what was written to the socket."""

import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


@dataclass(slots=True)
class Counts:
    """Calls of one model: how many came, and how many are in flight."""

    requests: int = 0
    in_flight: int = 0


class LoggedCall:
    """One call: counted while it lasts, its tokens written down as they are sent.

    Without a folder it is only counted. One write() a line survives kill -9.
    """

    def __init__(
        self, counts: Counts, folder: Path | None, start: Mapping[str, Any]
    ) -> None:
        self.outcome = "failed"
        self.usage: Mapping[str, Any] | None = None
        self._tokens = 0
        self._counts = counts
        self._fd: int | None = None
        counts.requests += 1
        counts.in_flight += 1
        if folder is not None:
            name = uuid.uuid4().hex
            self._fd = os.open(folder / f"{name}.jsonl", _FLAGS, 0o600)
            attempt = start["attempt"] or name
            self._write({**start, "attempt": attempt, "at": time.time()})

    def count_sent(self, tokens: int) -> None:
        """Writes down that so many tokens more were accepted by the socket."""
        if tokens and self._fd is not None:
            self._tokens += tokens
            os.write(self._fd, b'{"tokens":%d}\n' % self._tokens)

    def end(self) -> None:
        """Writes down how the call ended, and the usage that was reported."""
        self._counts.in_flight -= 1
        if self._fd is not None:
            end = {"outcome": self.outcome, "usage": self.usage}
            self._write({**end, "ended_at": time.time()})
            os.close(self._fd)

    def _write(self, values: dict[str, Any]) -> None:
        if self._fd is not None:
            os.write(self._fd, orjson.dumps(values) + b"\n")
