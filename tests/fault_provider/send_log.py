"""The send log: a file per call with what was written to the socket."""

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
    """The calls of one model: how many in total, and how many in flight."""

    requests: int = 0
    in_flight: int = 0


class LoggedCall:
    """One call: it is counted, and its tokens are logged as they are sent.

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
        """Logs that the socket accepted so many more tokens."""
        if tokens and self._fd is not None:
            self._tokens += tokens
            os.write(self._fd, b'{"tokens":%d}\n' % self._tokens)

    def end(self) -> None:
        """Logs the outcome of the call and the reported usage."""
        self._counts.in_flight -= 1
        if self._fd is not None:
            end = {"outcome": self.outcome, "usage": self.usage}
            self._write({**end, "ended_at": time.time()})
            os.close(self._fd)

    def _write(self, values: dict[str, Any]) -> None:
        if self._fd is not None:
            os.write(self._fd, orjson.dumps(values) + b"\n")
