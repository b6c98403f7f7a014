"""What one load is, what it found, and how many requests a run makes."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Literal, Self

Kind = Literal["miss", "hit", "stream", "fetch", "flag", "flags"]
# What a fetch asks for, in place of a model.
PROMPT = "bench"
PROMPT_TEXT = "You help {{team}} to understand its customers: {{question}}"
# Served by OFREP: one of them, or all; each has as many rules, the last of which fits.
FLAGS, FLAG_RULES = 1000, 10
FLAG, VARIANT = "bench-0", "on"
# Kinds that no other server has: what each asks for, and the answer.
OWN: dict[Kind, tuple[str, str]] = {
    "fetch": (PROMPT, PROMPT_TEXT),
    "flag": (FLAG, VARIANT),
    "flags": ("", str(FLAGS)),
}


@dataclass(frozen=True)
class Load:
    """One burst of requests, each to be answered by the content `expected`.

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
    """What a load found; times are in milliseconds, `seconds` is the wall clock."""

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
        """Count an answer that was not the full right one, and keep a few reasons."""
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
        """More requests a round, for a server so quick that /proc's 10 ms blur it."""
        counts = {name: getattr(self, name) * factor for name in ("miss", "stream")}
        return dataclasses.replace(self, **counts)


FULL = Sizes()
QUICK = Sizes(warm_up=260, rounds=1, miss=300, hit=300, stream=100, seconds=3.0)
