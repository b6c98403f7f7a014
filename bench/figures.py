"""The results of one run."""

from __future__ import annotations

import dataclasses
import math
import statistics
from dataclasses import dataclass, field
from typing import Self

from bench.measure import percentile
from bench.plan import Result

MOST_PROBLEMS = 8


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds per request: median, lowest and highest of the rounds."""

    ms: float
    low: float
    high: float
    beside: dict[str, float] = field(default_factory=dict)

    @classmethod
    def make(cls, rounds: list[float], beside: dict[str, float]) -> Self:
        return cls(statistics.median(rounds), min(rounds), max(rounds), beside)


@dataclass(frozen=True)
class Latency:
    """Percentiles in milliseconds, of whole answers or of their first content."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def make(cls, values: list[float]) -> Self:
        return cls(*(percentile(values, share) for share in (0.50, 0.95, 0.99)))

    def subtract(self, base: Latency) -> Latency:
        """The latency added to `base`, by percentile."""
        return Latency(self.p50 - base.p50, self.p95 - base.p95, self.p99 - base.p99)


@dataclass
class Figures:
    """All measurements of one server."""

    name: str
    cost: dict[str, Cost] = field(default_factory=dict)
    latency: dict[str, Latency] = field(default_factory=dict)
    peak_mb: float = 0.0
    evaluation_us: float = math.nan
    answered: int = 0
    wrong: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, result: Result) -> None:
        """Add the right and wrong answers of a load."""
        self.answered += result.answered
        self.wrong += result.wrong
        new = [text for text in result.problems if text not in self.problems]
        self.problems = (self.problems + new)[:MOST_PROBLEMS]

    def as_dict(self) -> dict[str, object]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Target:
    """A target: `value` must not exceed `limit`; nan means not measured."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def measured(self) -> bool:
        return self.value == self.value and self.limit == self.limit

    @property
    def met(self) -> bool:
        return self.measured and self.value <= self.limit
