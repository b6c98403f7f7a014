"""Draws counts over time as stacked columns of an SVG chart; options of other charts."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

# Title and duration.
SPANS = {
    "day": ("24 hours", dt.timedelta(days=1)),
    "week": ("7 days", dt.timedelta(days=7)),
    "month": ("30 days", dt.timedelta(days=30)),
}
USUAL = "week"
CHOICES = tuple((name, title) for name, (title, _) in SPANS.items())
# Each of these has its own colour; the rest are drawn together.
MOST_SERIES = 4
HEIGHT, WIDTH, GAP = 120.0, 720.0, 2.0
GREY = "#9ca3af"  # readable on white and on black
# Of the series of a chart, the last one for the rest; all readable on both.
COLOURS = ("#00a699", "#4f7cff", "#d97706", "#a855f7", "#65a30d", GREY)
TICKS = {"color": GREY, "maxTicksLimit": 5}

Columns = Mapping[dt.datetime, Counter[str]]


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a column, in the chart's own units."""

    x: float
    y: float
    width: float
    height: float
    series: int
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart; `series` are names with their total counts, from the bottom up."""

    blocks: tuple[Block, ...]
    series: tuple[tuple[str, int], ...]
    first: dt.datetime
    last: dt.datetime
    # The count of the highest column.
    top: int

    @property
    def total(self) -> int:
        return sum(count for _, count in self.series)


def choose_span(asked: str) -> str:
    """A name in SPANS: the one asked for, else the usual one."""
    return asked if asked in SPANS else USUAL


def stack(
    points: Iterable[tuple[dt.datetime, str, int]],
    steps: Sequence[dt.datetime],
    *,
    title: str,
    rest: str,
    order: Sequence[str] = (),
) -> Chart:
    """A column for each of `steps`, of the busiest names and the `rest`.

    The order is `order`, or else the busiest first. `title` is the title of a block, with
    {name} and {count}.
    """
    points = list(points)
    # Of equally busy names the first ones of `order` are drawn.
    totals: Counter[str] = Counter(dict.fromkeys(order, 0))
    for _, name, count in points:
        totals[name] += count
    busiest = [name for name, _ in totals.most_common(MOST_SERIES)]
    kept = [name for name in order if name in busiest] or busiest
    columns: dict[dt.datetime, Counter[str]] = {at: Counter() for at in steps}
    for at, name, count in points:
        columns.setdefault(at, Counter())[name if name in kept else rest] += count
    names = [*kept, *([rest] if len(totals) > len(kept) else [])]
    top = max((column.total() for column in columns.values()), default=0)
    return Chart(
        blocks=tuple(_blocks(columns, names, max(top, 1), title)),
        series=tuple((n, sum(column[n] for column in columns.values())) for n in names),
        first=steps[0],
        last=steps[-1],
        top=top,
    )


def _blocks(
    columns: Columns, names: Sequence[str], top: int, title: str
) -> Iterable[Block]:
    width = WIDTH / len(columns)
    for number, (at, column) in enumerate(sorted(columns.items())):
        y = HEIGHT
        for series, name in enumerate(names):
            if not column[name]:
                continue
            height = HEIGHT * column[name] / top
            y -= height
            words = title.format(name=name, count=column[name])
            yield Block(
                x=round(number * width + GAP / 2, 2),
                y=round(y, 2),
                width=round(width - GAP, 2),
                height=round(height, 2),
                series=series,
                title=f"{at:%b %d, %H:%M} UTC, {words}",
            )


def line_options(x: Mapping[str, Any] = {}, **scales: Mapping[str, Any]) -> str:
    """The options of unfold's line and bar charts, with these scales beside time."""
    legend = {
        "position": "top",
        "align": "end",
        "labels": {"boxWidth": 10, "color": GREY},
    }
    time = {
        **x,
        "grid": {"display": False},
        "ticks": {"color": GREY, "maxRotation": 0, "autoSkipPadding": 16},
    }
    return json.dumps(
        {
            "responsive": True,
            "maintainAspectRatio": False,
            "animation": False,
            "interaction": {"mode": "index", "intersect": False},
            "plugins": {"legend": legend},
            "scales": {"x": time, **scales},
        }
    )


STACKED_OPTIONS = line_options(
    x={"stacked": True}, y={"stacked": True, "beginAtZero": True, "ticks": TICKS}
)


class ChartSeries(NamedTuple):
    """What is drawn in one colour; None where there is no figure."""

    label: str
    data: Sequence[float | None]
    colour: str


def bars(labels: Sequence[str], series: Iterable[ChartSeries]) -> str:
    """The data of unfold's bar chart."""
    return _data(labels, series)


def lines(labels: Sequence[str], series: Iterable[ChartSeries]) -> str:
    """The data of unfold's line chart."""
    style = {"borderWidth": 2, "pointRadius": 0, "spanGaps": True}
    return _data(labels, series, **style)


def _data(labels: Sequence[str], series: Iterable[ChartSeries], **style: Any) -> str:
    drawn = [
        {
            "label": one.label,
            "data": list(one.data),
            "backgroundColor": one.colour,
            "borderColor": one.colour,
            **style,
        }
        for one in series
    ]
    return json.dumps({"labels": list(labels), "datasets": drawn})


# Of `traffic`, which needs a second scale.
TRAFFIC_OPTIONS = line_options(
    y={"beginAtZero": True, "ticks": {**TICKS, "precision": 0}},
    spend={
        "position": "right",
        "beginAtZero": True,
        "grid": {"display": False},
        "ticks": TICKS,
    },
)


def traffic(
    labels: Sequence[str], dollars: Sequence[float], requests: Sequence[int]
) -> str:
    """The data of unfold's chart of requests, as bars, and of spend, as a line."""
    grey = "var(--color-base-500)"
    return json.dumps(
        {
            "labels": list(labels),
            "datasets": [
                {
                    "label": "Spend (USD)",
                    "type": "line",
                    "yAxisID": "spend",
                    "data": list(dollars),
                    "borderColor": grey,
                    "backgroundColor": grey,
                    "borderWidth": 2,
                    "pointRadius": 0,
                    "tension": 0.3,
                },
                {
                    "label": "Requests",
                    "data": list(requests),
                    "backgroundColor": "var(--color-primary-500)",
                    "borderRadius": 3,
                },
            ],
        }
    )
