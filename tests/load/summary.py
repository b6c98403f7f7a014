"""Parses k6's summary, and finds what breaks and how soon it is over."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

TARGETS: dict[str, float] = json.loads(
    (Path(__file__).parent / "targets.json").read_text()
)
# Slices before an overload that are not compared: processes and connections are new.
WARM_UP_S = 6.0
# It has recovered when so many slices in a row are normal, and they are normal up to
# this factor over the worst one before: the upstream's delays are random.
NORMAL_SLICES = 3
NORMAL = 1.25


@dataclass(frozen=True)
class Span:
    """Requests that began in one step or slice of the run. Times are in seconds."""

    name: str
    start: float
    seconds: float
    answers: int
    p95: float
    error_percent: float
    rate: float = 0.0
    # Requests that were not even sent.
    dropped: int = 0

    @property
    def end(self) -> float:
        return self.start + self.seconds

    @property
    def fault(self) -> str:
        """Why a system is broken at this rate; '' if it is not."""
        if self.p95 > TARGETS["p95_s"]:
            return f"p95 of {self.p95:.1f} s"
        if self.error_percent > TARGETS["error_percent"]:
            return f"{self.error_percent:.1f} % errors"
        # One in a hundred: k6 starts virtual users a moment late.
        if self.dropped > self.rate * self.seconds / 100:
            return f"{self.dropped} requests not sent: all virtual users wait"
        return ""


@dataclass(frozen=True)
class LoadSummary:
    """k6's summary of a run."""

    profile: str
    seconds: float
    slice_s: float
    steps: tuple[Span, ...]
    slices: tuple[Span, ...]
    metrics: dict[str, Any]
    problems: dict[str, int]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what plan.js has written. Raises ValueError, KeyError."""
        found = json.loads(text)
        plan, metrics = found["plan"], found["metrics"]
        width = plan["slice_s"]
        slices = (
            _span(metrics, f"slice:{number}", start=number * width, seconds=width)
            for number in range(math.ceil(plan["seconds"] / width))
        )
        steps = (
            _span(metrics, f"step:{step['name']}", **step) for step in plan["steps"]
        )
        checks = found["checks"]["checks"]
        return cls(
            profile=plan["name"],
            seconds=plan["seconds"],
            slice_s=width,
            steps=tuple(steps),
            slices=tuple(slices),
            metrics=metrics,
            problems={one["name"]: one["fails"] for one in checks if one["fails"]},
        )

    def value(self, metric: str, name: str) -> float:
        """A figure of a metric; 0 if there was no sample."""
        return float(self.metrics.get(metric, {}).get("values", {}).get(name, 0))

    def statuses(self) -> dict[str, int]:
        """How many answers had each status; 0 is none at all."""
        prefix = "statuses{status:"
        counts = {
            name.removeprefix(prefix).rstrip("}"): round(self.value(name, "count"))
            for name in self.metrics
            if name.startswith(prefix)
        }
        return {status: count for status, count in counts.items() if count}


def _span(
    metrics: dict[str, Any],
    tag: str,
    *,
    start: float,
    seconds: float,
    name: str = "",
    rate: float = 0.0,
) -> Span:
    def value(metric: str, figure: str) -> float:
        values = metrics.get(f"{metric}{{{tag}}}", {}).get("values", {})
        return float(values.get(figure, 0))

    begun = round(value("errors", "passes") + value("errors", "fails"))
    return Span(
        name=name or tag,
        start=start,
        seconds=seconds,
        answers=round(value("latency", "count")),
        p95=value("latency", "p(95)") / 1000,
        error_percent=100 * value("errors", "rate"),
        rate=rate,
        dropped=max(0, round(rate * seconds) - begun) if rate else 0,
    )


def find_breaking_point(steps: Sequence[Span]) -> tuple[Span | None, Span | None]:
    """The last step that held and the first that broke; None: there is none."""
    held = None
    for step in steps:
        if step.fault:
            return held, step
        held = step
    return held, None


def measure_recovery(
    slices: Sequence[Span], *, begin: float, end: float
) -> float | None:
    """Seconds from the `end` of an overload until errors and p95 are as before its `begin`.

    None: not within the run.
    """
    early = [one for one in slices if one.end <= begin]
    before = [one for one in early if one.start >= WARM_UP_S] or early
    after = [one for one in slices if one.start >= end]
    p95 = NORMAL * max((one.p95 for one in before), default=0.0)
    errors = max((one.error_percent for one in before), default=0.0)
    normal = [one.p95 <= p95 and one.error_percent <= errors for one in after]
    for number in range(len(after) - NORMAL_SLICES + 1):
        if all(normal[number : number + NORMAL_SLICES]):
            return after[number].start - end
    return None
