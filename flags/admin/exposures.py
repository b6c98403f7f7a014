"""How often each variant of a flag was given, as stacked columns."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils import timezone

from flags.models import Exposure

HOUR = dt.timedelta(hours=1)
# Title, how far back, what one column is.
SPANS = {
    "day": ("24 hours", dt.timedelta(days=1), HOUR),
    "week": ("7 days", dt.timedelta(days=7), 6 * HOUR),
    "month": ("30 days", dt.timedelta(days=30), 24 * HOUR),
}
USUAL = "week"
# Each has a colour of its own; the rest are drawn together.
MOST_SERIES = 4
REST = "others"
NONE = "the program's own default"
HEIGHT, WIDTH, GAP = 120.0, 720.0, 2.0

Columns = Mapping[dt.datetime, Mapping[str, int]]


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
class Series:
    """One variant over all the time. `share` in percent of all."""

    name: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Chart:
    span: str
    spans: tuple[tuple[str, str], ...]
    series: tuple[Series, ...]
    blocks: tuple[Block, ...]
    first: dt.datetime
    last: dt.datetime
    total: int


def chart(flag: str, asked: str) -> Chart:
    """Of the flag with that name over a span of SPANS, else the usual one."""
    span = asked if asked in SPANS else USUAL
    _, length, step = SPANS[span]
    now = timezone.now()
    first = _floor(now - length, step) + step
    rows = Exposure.objects.filter(flag=flag, hour__gte=first)
    found = rows.order_by().values_list("hour", "variant", "count")
    columns: dict[dt.datetime, dict[str, int]] = {}
    totals: dict[str, int] = {}
    for hour, variant, count in found:
        name = variant or NONE
        column = columns.setdefault(_floor(hour, step), {})
        column[name] = column.get(name, 0) + count
        totals[name] = totals.get(name, 0) + count
    names = sorted(totals, key=lambda name: -totals[name])
    kept = names[:MOST_SERIES]
    whole = sum(totals.values())
    series = [Series(name, totals[name], 100 * totals[name] / whole) for name in kept]
    if rest := sum(totals[name] for name in names[MOST_SERIES:]):
        series.append(Series(REST, rest, 100 * rest / whole))
    return Chart(
        span=span,
        spans=tuple((name, title) for name, (title, _, _) in SPANS.items()),
        series=tuple(series),
        blocks=tuple(_blocks(columns, kept, first, step, round(length / step))),
        first=first,
        last=now,
        total=whole,
    )


def _floor(at: dt.datetime, step: dt.timedelta) -> dt.datetime:
    seconds = int(step.total_seconds())
    whole = int(at.timestamp()) // seconds * seconds
    return dt.datetime.fromtimestamp(whole, dt.UTC)


def _blocks(
    columns: Columns,
    names: Sequence[str],
    first: dt.datetime,
    step: dt.timedelta,
    count: int,
) -> list[Block]:
    top = max((sum(column.values()) for column in columns.values()), default=1)
    width = WIDTH / count
    blocks = []
    for at, column in columns.items():
        y, x = HEIGHT, (at - first) / step * width + GAP / 2
        for number, (name, given) in enumerate(_stack(column, names)):
            if not given:
                continue
            height = HEIGHT * given / top
            y -= height
            blocks.append(
                Block(
                    round(x, 2),
                    round(y, 2),
                    round(width - GAP, 2),
                    round(height, 2),
                    number,
                    f"{at:%b %d, %H:%M} UTC, {name}: {given:,}",
                )
            )
    return blocks


def _stack(column: Mapping[str, int], names: Sequence[str]) -> list[tuple[str, int]]:
    """One for each of `names`, from the bottom, then the rest."""
    rest = sum(count for name, count in column.items() if name not in names)
    return [*((name, column.get(name, 0)) for name in names), (REST, rest)]
