"""The charts over time of an experiment's arms, for unfold's chart components."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from llm.prompting.metrics import Point
from prompts.models.experiment import Metric

GREY = "#9ca3af"  # reads on white and on black
# Told apart also by those who see few colours (Okabe, Ito).
COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9",
    "#d55e00", "#f0e442", "#999999", "#7a5195", "#444444",
)  # fmt: skip


def requests(
    names: Sequence[str],
    steps: Sequence[dt.datetime],
    points: Sequence[Point],
    step: str,
) -> str:
    """Bars of requests, the arms on top of each other."""
    known = {(one.name, one.at): one.requests for one in points}
    datasets = [
        {
            "label": name,
            "data": [known.get((name, at), 0) for at in steps],
            "backgroundColor": COLOURS[number],
        }
        for number, name in enumerate(names)
    ]
    return json.dumps({"labels": _labels(steps, step), "datasets": datasets})


def metric(
    which: str,
    names: Sequence[str],
    steps: Sequence[dt.datetime],
    points: Sequence[Point],
    step: str,
) -> str:
    """A line of the deciding metric for each arm; gaps where nothing was measured."""
    known = {(one.name, one.at): _value(which, one) for one in points}
    datasets = [
        {
            "label": name,
            "data": [known.get((name, at)) for at in steps],
            "borderColor": COLOURS[number],
            "backgroundColor": COLOURS[number],
            "borderWidth": 2,
            "pointRadius": 2,
            "spanGaps": True,
        }
        for number, name in enumerate(names)
    ]
    return json.dumps({"labels": _labels(steps, step), "datasets": datasets})


def _value(which: str, one: Point) -> float | None:
    if which == Metric.ERROR_RATE:
        return round(100 * one.failed / one.requests, 3) if one.requests else None
    if which == Metric.COST:
        return round(one.cost_usd / one.requests, 6) if one.requests else None
    return one.latency_ms if which == Metric.LATENCY else one.feedback


def _labels(steps: Sequence[dt.datetime], step: str) -> list[str]:
    shown = "%d %b" if step == "day" else "%d %b %H:00"
    return [f"{at:{shown}}" for at in steps]


def _options(*, stacked: bool) -> str:
    ticks: dict[str, Any] = {"color": GREY, "maxTicksLimit": 5}
    return json.dumps(
        {
            "responsive": True,
            "maintainAspectRatio": False,
            "animation": False,
            "interaction": {"mode": "index", "intersect": False},
            "plugins": {
                "legend": {
                    "position": "top",
                    "align": "end",
                    "labels": {"boxWidth": 10, "color": GREY},
                }
            },
            "scales": {
                "x": {
                    "stacked": stacked,
                    "grid": {"display": False},
                    "ticks": {"color": GREY, "maxRotation": 0, "autoSkipPadding": 16},
                },
                "y": {"stacked": stacked, "beginAtZero": stacked, "ticks": ticks},
            },
        }
    )


STACKED = _options(stacked=True)
LINES = _options(stacked=False)
