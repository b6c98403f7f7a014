"""The charts of a run: before, during and after its faults."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from valuecanvas.core.admin import charts
from valuecanvas.core.admin.charts import COLOURS, GREY, ChartSeries

# A sample's phase -> its name in the chart, and its colour.
PHASES = {
    "before": ("Before", GREY),
    "during": ("During", COLOURS[2]),
    "after": ("After", COLOURS[0]),
}


@dataclass(frozen=True, slots=True)
class RunChart:
    """One figure over time; `name` is part of its id on the page."""

    name: str
    title: str
    unit: str
    data: str


def run_charts(samples: Sequence[Mapping[str, Any]]) -> list[RunChart]:
    """The charts of a run's samples."""
    figures: tuple[tuple[str, str, str, Callable[[Mapping[str, Any]], Any]], ...] = (
        ("errors", "Failed requests", "percent", _error_percent),
        ("p95", "Latency, p95", "ms", lambda one: one.get("p95_ms")),
        ("requests", "Requests", "each sample", lambda one: one.get("requests")),
        ("injected", "Injected faults", "each sample", lambda one: one.get("injected")),
    )
    labels = [_time(one.get("at", "")) for one in samples]
    return [
        RunChart(name, title, unit, charts.bars(labels, _series(samples, value)))
        for name, title, unit, value in figures
    ]


def _series(
    samples: Sequence[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], Any]
) -> list[ChartSeries]:
    return [
        ChartSeries(
            title,
            [value(one) if one.get("phase") == phase else None for one in samples],
            colour,
        )
        for phase, (title, colour) in PHASES.items()
    ]


def _error_percent(sample: Mapping[str, Any]) -> float | None:
    requests = sample.get("requests")
    return round(100 * sample.get("errors", 0) / requests, 2) if requests else None


def _time(at: str) -> str:
    try:
        return f"{datetime.fromisoformat(at):%H:%M:%S}"
    except (TypeError, ValueError):
        return ""
