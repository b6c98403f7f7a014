"""The send log: for each call, a file of what was written to the socket."""

import os
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from valuecanvas.embedded.demo_provider.payload import Reply, Stream

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


@dataclass(slots=True)
class Counts:
    """Calls of one model: how many came, and how many are in flight."""

    requests: int = 0
    in_flight: int = 0


class Call:
    """One call: counted while it lasts, its tokens written down as they are sent.

    One write() a line survives kill -9.
    """

    def __init__(self, counts: Counts, path: Path | None, start: dict[str, Any]):
        self.outcome = "failed"
        self.usage: dict[str, Any] | None = None
        self._tokens = 0
        self._counts = counts
        self._fd = None if path is None else os.open(path, _FLAGS, 0o600)
        self._write({**start, "at": time.time()})
        counts.requests += 1
        counts.in_flight += 1

    def count_sent(self, tokens: int) -> None:
        """Writes down that so many tokens more were accepted by the socket."""
        if tokens and self._fd is not None:
            self._tokens += tokens
            os.write(self._fd, b'{"tokens":%d}\n' % self._tokens)

    def end(self) -> None:
        """Writes down how the call ended, and the usage that was reported."""
        self._counts.in_flight -= 1
        self._write(
            {"outcome": self.outcome, "usage": self.usage, "ended_at": time.time()}
        )
        if self._fd is not None:
            os.close(self._fd)

    def _write(self, values: dict[str, Any]) -> None:
        if self._fd is not None:
            os.write(self._fd, orjson.dumps(values) + b"\n")


class Calls:
    """All calls, counted by model, and logged where a folder is named."""

    def __init__(self, folder: Path | None = None) -> None:
        self.by_model: dict[str, Counts] = defaultdict(Counts)
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def begin(self, reply: Reply, *, endpoint: str, attempt: str | None) -> Call:
        """Admits a call; `attempt` is the caller's id for it, else one is made."""
        counts = self.by_model[reply.model]
        if self._folder is None:
            return Call(counts, None, {})
        unique = uuid.uuid4().hex
        start = {
            "attempt": attempt or unique,
            "model": reply.model,
            "endpoint": endpoint,
            "stream": isinstance(reply.payload, Stream),
            "prompt_tokens": reply.prompt_tokens,
        }
        return Call(counts, self._folder / f"{unique}.jsonl", start)


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
