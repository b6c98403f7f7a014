"""Sums up the ledger by a prompt's versions or an experiment's arms."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from llm.prompting import queries
from prompts.experiments.statistics import ArmSample
from prompts.models.experiment import Metric
from valuecanvas.core.db.statement_timeout import limited_cursor

# A ledger too busy to be summed in time shows no figures rather than wait.
TIMEOUT_MS = 10_000
# A request that was under way when an experiment ended is settled within this.
LATE = dt.timedelta(minutes=5)
# Charts go by the hour up to this long a window, by the day past it.
HOURLY = dt.timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Window:
    """The requests of one prompt from `since` up to, not including, `until`.

    Settled then, to be exact. `experiment` is a key: only the requests in its arms.
    """

    prompt: str
    since: dt.datetime
    until: dt.datetime
    experiment: str = ""

    @property
    def step(self) -> str:
        return "hour" if self.until - self.since <= HOURLY else "day"


@dataclass(frozen=True, slots=True)
class Figures:
    """The totals of the requests of one version or arm.

    `error_rate` leaves out those whose client left; latencies and `cost_each` are
    of answers that came from a provider, not from the cache. Money includes corrections.
    """

    name: str
    requests: int = 0
    users: int = 0
    failed: int = 0
    gone: int = 0
    cached: int = 0
    cost_usd: Decimal = Decimal(0)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    p50_ms: int | None = None
    p95_ms: int | None = None
    feedback: float | None = None
    feedback_count: int = 0

    @property
    def error_rate(self) -> float:
        judged = self.requests - self.gone
        return self.failed / judged if judged else 0.0

    @property
    def cost_each(self) -> Decimal:
        answered = self.requests - self.cached - self.failed - self.gone
        return self.cost_usd / answered if answered > 0 else Decimal(0)


@dataclass(frozen=True, slots=True)
class Point:
    """One version or arm in one step of time."""

    at: dt.datetime
    name: str
    requests: int = 0
    failed: int = 0
    cost_usd: float = 0.0
    latency_ms: float | None = None
    feedback: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """The samples of every metric by arm, and how many users each arm had."""

    samples: Mapping[str, Mapping[str, ArmSample]]
    users: Mapping[str, int] = field(default_factory=dict)


def figures(window: Window) -> list[Figures]:
    """The figures of each version of the prompt, newest first, or of each arm.

    A version is named by its number. Raises DatabaseError where it takes too long.
    """
    found = [Figures(*row) for row in _rows(queries.FIGURES, window)]
    if window.experiment:
        return sorted(found, key=lambda one: one.name)
    return sorted(found, key=lambda one: int(one.name or 0), reverse=True)


def samples(window: Window, arms: Sequence[str]) -> Measured:
    """The samples of each arm, for the statistics. Raises DatabaseError as `figures`."""
    found: dict[str, dict[str, ArmSample]] = {
        metric: dict.fromkeys(arms, ArmSample()) for metric in Metric.values
    }
    users = dict.fromkeys(arms, 0)
    for name, metric, *sums in _rows(queries.SAMPLES, window):
        if name not in users:
            continue
        if metric == queries.USERS:
            users[name] = sums[0]
        else:
            found[metric][name] = ArmSample(*sums)
    return Measured(found, users)


def timeline(window: Window) -> list[Point]:
    """The figures by hour or day (`window.step`), without steps that have no request."""
    return [Point(*row) for row in _rows(queries.TIMELINE, window)]


def steps(window: Window) -> list[dt.datetime]:
    """Every hour or day of the window, with requests or without."""
    whole = {"minute": 0, "second": 0, "microsecond": 0}
    if window.step == "day":
        whole["hour"] = 0
    at = window.since.astimezone(dt.UTC).replace(**whole)  # type: ignore[arg-type]
    by = dt.timedelta(**{f"{window.step}s": 1})
    found = []
    while at < window.until:
        found.append(at)
        at += by
    return found


def _rows(statement: Mapping[bool, str], window: Window) -> list[Any]:
    values: dict[str, str | dt.datetime] = {
        "prompt": window.prompt,
        "since": window.since,
        "until": window.until,
        "step": window.step,
        "prefix": f"{window.experiment}:",
    }
    with limited_cursor(TIMEOUT_MS) as cursor:
        cursor.execute(statement[bool(window.experiment)], values)
        rows: list[Any] = cursor.fetchall()
    return rows
