"""Loads, their results, and the number of requests of a run."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Literal, Self

Kind = Literal["miss", "hit", "stream", "fetch", "flag", "flags", "refused"]
# The path by which bench.trace_switch is told 'on' or 'off'.
TRACE_SWITCH = "/bench/trace/"
# The path at which bench.lag_probe tells the longest delay of the event loop.
LAG = "/bench/lag"
# The prompt that a fetch asks for, in place of a model.
PROMPT = "bench"
PROMPT_TEXT = "You help {{team}} to understand its customers: {{question}}"
# For OFREP requests of one flag or all; the last rule of each flag matches.
FLAGS, FLAG_RULES = 1000, 10
FLAG, VARIANT = "bench-0", "on"
# Kinds of requests that no other server has: what each asks for, and the answer.
OWN: dict[Kind, tuple[str, str]] = {
    "fetch": (PROMPT, PROMPT_TEXT),
    "flag": (FLAG, VARIANT),
    "flags": ("", str(FLAGS)),
}


@dataclass(frozen=True)
class Load:
    """A number of requests, each with the answer `expected`.

    `rate` 0 is a closed loop of `clients`; else it is arrivals a second.
    """

    url: str
    keys: tuple[str, ...]
    kind: Kind
    model: str
    expected: str
    first: int
    count: int
    clients: int = 32
    rate: float = 0.0
    timeout_s: float = 60.0
    limit_s: float = 300.0

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        return cls(**{**fields, "keys": tuple(fields["keys"])})


@dataclass
class Result:
    """The result of a load; `seconds` is the wall clock."""

    answered: int = 0
    wrong: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    latency_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    cache_hits: int = 0

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))

    def note(self, problem: str) -> None:
        """Count a wrong answer, and keep the first few reasons."""
        self.wrong += 1
        if problem not in self.problems and len(self.problems) < 5:
            self.problems.append(problem)


@dataclass(frozen=True)
class Sizes:
    """How many requests each part of a run makes, and how fast they arrive."""

    warm_up: int = 500
    rounds: int = 3
    miss: int = 2000
    hit: int = 2000
    stream: int = 500
    rate: float = 40.0
    stream_rate: float = 10.0
    seconds: float = 20.0

    def times(self, factor: int) -> Sizes:
        """More requests per round, for a server too fast for /proc's resolution of 10 ms."""
        counts = {name: getattr(self, name) * factor for name in ("miss", "stream")}
        return dataclasses.replace(self, **counts)


FULL = Sizes()
QUICK = Sizes(warm_up=260, rounds=1, miss=300, hit=300, stream=100, seconds=3.0)
