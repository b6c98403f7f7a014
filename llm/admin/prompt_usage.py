"""Usage of a prompt by version, as a table with bars and a chart."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import DatabaseError
from django.utils import timezone

from llm.prompting import metrics
from llm.prompting.metrics import Figures, Window
from valuecanvas.core.admin import charts


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure with the length of its bar, in percent of the largest."""

    value: float | int | Decimal | None
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One version."""

    version: str
    figures: Figures
    requests: Cell
    cost: Cell
    latency: Cell
    errors: Cell
    feedback: Cell


@dataclass(frozen=True, slots=True)
class PromptUsage:
    """Usage of a prompt in a time span. `slow`: the database took too long."""

    span: str
    step: str
    rows: tuple[UsageRow, ...] = ()
    chart: charts.Chart | None = None
    slow: bool = False
    spans = charts.CHOICES


def usage(key: str, asked: str) -> PromptUsage:
    """Usage of the prompt `key` in the span `asked`, or in the default span."""
    span = charts.choose_span(asked)
    now = timezone.now()
    window = Window(key, now - charts.SPANS[span][1], now)
    try:
        found = metrics.figures(window)
        points = metrics.timeline(window) if found else []
    except DatabaseError:
        return PromptUsage(span, window.step, slow=True)
    if not found:
        return PromptUsage(span, window.step)
    chart = charts.stack(
        ((point.at, point.name, point.requests) for point in points),
        metrics.steps(window),
        title="version {name}: {count} requests",
        rest="other",
        order=[one.name for one in found],
    )
    return PromptUsage(span, window.step, tuple(_rows(found)), chart)


def _rows(found: Sequence[Figures]) -> list[UsageRow]:
    requests = max(one.requests for one in found)
    cost = max(one.cost_each for one in found)
    latency = max(one.p95_ms or 0 for one in found)
    errors = 100 * max(one.error_rate for one in found)
    return [
        UsageRow(
            version=one.name,
            figures=one,
            requests=_cell(one.requests, requests),
            cost=_cell(one.cost_each or None, cost),
            latency=_cell(one.p95_ms, latency),
            errors=_cell(round(100 * one.error_rate, 1), errors),
            feedback=_cell(one.feedback, 1),
        )
        for one in found
    ]


def _cell(value: float | Decimal | None, most: float | Decimal) -> Cell:
    share = float(value) / float(most) if value and most else 0.0
    return Cell(value, round(100 * max(share, 0.0), 1))
