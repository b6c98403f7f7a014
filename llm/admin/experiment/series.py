"""The charts over time of an experiment's arms, for unfold's chart components."""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llm.prompting.metrics import Point
from prompts.models.experiment import Metric
from valuecanvas.core.admin import charts

# Distinct also for colour-blind readers (Okabe, Ito).
COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9",
    "#d55e00", "#f0e442", "#999999", "#7a5195", "#444444",
)  # fmt: skip
_LABELS = {"hour": "%d %b %H:00", "day": "%d %b"}


@dataclass(frozen=True, slots=True)
class Series:
    """Figures of the arms `names` at each of `steps`."""

    names: Sequence[str]
    steps: Sequence[dt.datetime]
    points: Sequence[Point]
    # hour or day
    step: str

    def requests(self) -> str:
        """Bars of requests, stacked by arm."""
        return self._chart(lambda one: one.requests, empty=0)

    def metric(self, which: str) -> str:
        """A line of a metric for each arm; gaps where nothing was measured."""
        return self._chart(
            lambda one: _value(which, one),
            borderWidth=2,
            pointRadius=2,
            spanGaps=True,
        )

    def _chart(
        self, value: Callable[[Point], Any], *, empty: Any = None, **style: Any
    ) -> str:
        known = {(one.name, one.at): value(one) for one in self.points}
        labels = [f"{at:{_LABELS[self.step]}}" for at in self.steps]
        datasets = [
            {
                "label": name,
                "data": [known.get((name, at), empty) for at in self.steps],
                "borderColor": COLOURS[number],
                "backgroundColor": COLOURS[number],
                **style,
            }
            for number, name in enumerate(self.names)
        ]
        return json.dumps({"labels": labels, "datasets": datasets})


def _value(which: str, one: Point) -> float | None:
    if which == Metric.ERROR_RATE:
        return round(100 * one.failed / one.requests, 3) if one.requests else None
    if which == Metric.COST:
        return round(one.cost_usd / one.requests, 6) if one.requests else None
    return one.latency_ms if which == Metric.LATENCY else one.feedback


def _options(*, stacked: bool) -> str:
    return charts.line_options(
        x={"stacked": stacked},
        y={"stacked": stacked, "beginAtZero": stacked, "ticks": charts.TICKS},
    )


STACKED = _options(stacked=True)
LINES = _options(stacked=False)
