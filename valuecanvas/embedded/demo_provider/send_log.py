"""The referee: for each attempt, a file of what was written to the socket."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import orjson

from valuecanvas.embedded.demo_provider.usage import Usage

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class Record(Protocol):
    """Takes down one attempt."""

    def wrote(self, tokens: int) -> None:
        """`tokens` more were accepted by the socket."""

    def end(self, how: str, usage: Usage | None) -> None:
        """The attempt is over; `usage` is what was reported, if it was sent."""


class NoRecord:
    """Where no referee is asked for."""

    def wrote(self, tokens: int) -> None:
        """Nothing to do."""

    def end(self, how: str, usage: Usage | None) -> None:
        """Nothing to do."""


class FileRecord:
    """Appends to the attempt's own file; one write() a line survives kill -9."""

    def __init__(self, path: Path, start: dict[str, Any]) -> None:
        self._fd = os.open(path, _FLAGS, 0o600)
        self._tokens = 0
        self._line({"event": "start", **start, "at": time.time()})

    def wrote(self, tokens: int) -> None:
        """Appends the tokens written so far, if there are new ones."""
        if tokens:
            self._tokens += tokens
            os.write(self._fd, b'{"tokens":%d}\n' % self._tokens)

    def end(self, how: str, usage: Usage | None) -> None:
        """Appends the last line and closes the file."""
        last = {"event": "end", "how": how, "tokens": self._tokens, "usage": usage}
        self._line({**last, "at": time.time()})
        os.close(self._fd)

    def _line(self, value: dict[str, Any]) -> None:
        os.write(self._fd, orjson.dumps(value) + b"\n")


def file_name(attempt: str) -> str:
    """The file of an attempt id; ids that aren't safe names go by their hash."""
    if _SAFE_NAME.fullmatch(attempt):
        return f"{attempt}.jsonl"
    return f"h{sha256(attempt.encode(errors='replace')).hexdigest()[:32]}.jsonl"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as the referee saw it.

    `how` is None while it goes on (or the provider was killed); `at` and `ended_at`
    are Unix seconds.
    """

    attempt: str
    model: str
    endpoint: str
    stream: bool
    prompt_tokens: int
    at: float
    tokens: int = 0
    how: str | None = None
    usage: dict[str, Any] | None = field(default=None)
    ended_at: float | None = None


def read_attempts(folder: Path | str) -> list[Attempt]:
    """All attempts in a referee folder, by their start; a torn last line is left."""
    attempts = [a for path in Path(folder).glob("*.jsonl") for a in _read(path)]
    return sorted(attempts, key=lambda attempt: attempt.at)


def _read(path: Path) -> Iterator[Attempt]:
    """The attempts of one file: an id that came twice has two starts in it."""
    attempt: Attempt | None = None
    for line in path.read_bytes().split(b"\n")[:-1]:
        value = orjson.loads(line)
        event = value.pop("event", None)
        if event == "start":
            if attempt is not None:
                yield attempt
            attempt = Attempt(**value)
        elif attempt is not None:
            if event == "end":
                value["ended_at"] = value.pop("at")
            attempt = replace(attempt, **value)
    if attempt is not None:
        yield attempt
