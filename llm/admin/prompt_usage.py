"""What came of the versions of a prompt, as a table with bars and a chart."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import DatabaseError
from django.utils import timezone

from llm.prompting import metrics
from llm.prompting.metrics import Figures, Window

SPANS = {
    "day": ("24 hours", dt.timedelta(days=1)),
    "week": ("7 days", dt.timedelta(days=7)),
    "month": ("30 days", dt.timedelta(days=30)),
}
USUAL = "week"
# Each has a colour of its own; the rest are drawn together.
MOST_SERIES = 4
REST = "other"
HEIGHT, WIDTH, GAP = 120.0, 720.0, 2.0


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure with the length of its bar, in percent of the largest."""

    value: float | int | Decimal | None
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """One version."""

    version: str
    figures: Figures
    requests: Cell
    cost: Cell
    latency: Cell
    errors: Cell
    feedback: Cell


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a column in the chart, in the chart's own units."""

    x: float
    y: float
    width: float
    height: float
    series: int
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    blocks: tuple[Block, ...]
    series: tuple[str, ...]
    first: dt.datetime
    last: dt.datetime
    top: int
    step: str


@dataclass(frozen=True, slots=True)
class Usage:
    """`slow`: the ledger was too busy to be summed up."""

    span: str
    spans: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...] = ()
    chart: Chart | None = None
    slow: bool = False


def usage(key: str, asked: str) -> Usage:
    """Of the prompt `key` over a span of SPANS, else the usual one."""
    span = asked if asked in SPANS else USUAL
    spans = tuple((name, title) for name, (title, _) in SPANS.items())
    now = timezone.now()
    window = Window(key, now - SPANS[span][1], now)
    try:
        found = metrics.figures(window)
        points = metrics.timeline(window) if found else []
    except DatabaseError:
        return Usage(span, spans, slow=True)
    if not found:
        return Usage(span, spans)
    return Usage(span, spans, tuple(_rows(found)), _chart(window, found, points))


def _rows(found: Sequence[Figures]) -> list[Row]:
    requests = max(one.requests for one in found)
    cost = max(one.cost_each for one in found)
    latency = max(one.p95_ms or 0 for one in found)
    errors = 100 * max(one.error_rate for one in found)
    return [
        Row(
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


def _chart(
    window: Window, found: Sequence[Figures], points: Sequence[metrics.Point]
) -> Chart:
    """Stacked columns of requests: the versions with most requests, and the rest."""
    busiest = sorted(found, key=lambda one: one.requests, reverse=True)
    shown = {one.name for one in busiest[:MOST_SERIES]}
    names = [one.name for one in found if one.name in shown]
    steps = metrics.steps(window)
    columns: dict[dt.datetime, dict[str, int]] = {at: {} for at in steps}
    for point in points:
        name = point.name if point.name in names else REST
        column = columns.setdefault(point.at, {})
        column[name] = column.get(name, 0) + point.requests
    rest = len(found) > MOST_SERIES
    series = tuple([*names, REST] if rest else names)
    top = max((sum(column.values()) for column in columns.values()), default=0)
    return Chart(
        tuple(_blocks(columns, series, max(top, 1))),
        series,
        steps[0],
        steps[-1],
        top,
        window.step,
    )


def _blocks(
    columns: dict[dt.datetime, dict[str, int]], series: Sequence[str], top: int
) -> list[Block]:
    width = WIDTH / len(columns)
    blocks = []
    for at, (moment, column) in enumerate(sorted(columns.items())):
        y = HEIGHT
        for number, name in enumerate(series):
            count = column.get(name, 0)
            if not count:
                continue
            height = HEIGHT * count / top
            y -= height
            title = f"{moment:%b %d, %H:%M} UTC, version {name}: {count} requests"
            blocks.append(
                Block(
                    round(at * width + GAP / 2, 2),
                    round(y, 2),
                    round(width - GAP, 2),
                    round(height, 2),
                    number,
                    title,
                )
            )
    return blocks
