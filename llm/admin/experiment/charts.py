"""Results of an experiment as rows and plots for the page."""

from dataclasses import dataclass
from typing import Any

from llm.admin.experiment import series
from llm.admin.experiment.forms import describe_arm
from llm.prompting import metrics
from llm.prompting.metrics import Figures
from llm.prompting.results import Results
from prompts.experiments.statistics import Comparison
from prompts.experiments.verdict import (
    BETTER,
    EARLY,
    MEASURES,
    NONE,
    WORSE,
    ExperimentVerdict,
)
from prompts.models import Arm, Experiment
from prompts.models.experiment import Metric
from valuecanvas.core.templatetags import figures

# Heights in pixels; across, everything is in percent, with "no difference" at 50.
ROW, FOOT = 44, 24
_MIDDLE, _HALF = 50, 48
_TYPES = {BETTER: "success", WORSE: "warning", NONE: "default", EARLY: "info"}
_UNITS = {
    Metric.ERROR_RATE: "percent",
    Metric.FEEDBACK: "-1 to 1",
    Metric.COST: "USD a request",
    Metric.LATENCY: "ms, mean",
}
_WORDS = {
    BETTER: "winner",
    WORSE: "keep the control",
    NONE: "undecided",
    EARLY: "too early",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A confidence interval to draw, in percent; better is on the right."""

    arm: str
    y: int
    left: float
    right: float
    at: float
    tone: str
    low: str
    high: str

    @property
    def width(self) -> float:
        return max(0.5, round(self.right - self.left, 1))


@dataclass(frozen=True, slots=True)
class Plot:
    """The differences of all arms from the control, on one metric."""

    title: str
    verdict: ExperimentVerdict
    word: str
    type: str
    bars: tuple[Bar, ...]
    height: int
    worse: str
    better: str


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One arm in the table."""

    arm: Arm
    control: bool
    won: bool
    what: str
    figures: Figures
    share: str
    error_rate: str
    cost_each: str
    latency: str
    feedback: str


def results_context(experiment: Experiment, found: Results) -> dict[str, Any]:
    """The context of the results template."""
    deciding = found.verdicts[experiment.metric]
    steps, points = metrics.steps(found.window), metrics.timeline(found.window)
    names = [arm.name for arm in found.arms]
    drawn = series.Series(names, steps, points, found.window.step)
    return {
        "since": found.window.since,
        "until": found.window.until,
        "measure": MEASURES[experiment.metric].noun,
        "unit": _UNITS[Metric(experiment.metric)],
        "control": found.control,
        "verdict": deciding,
        "certainty": f"{100 * (1 - experiment.alpha):g}",
        "verdict_type": _TYPES[deciding.kind],
        "verdict_word": _WORDS[deciding.kind],
        "others": [
            _plot(metric, found.verdicts[metric])
            for metric in Metric.values
            if metric != experiment.metric
        ],
        "plot": _plot(experiment.metric, deciding),
        "rows": [_row(arm, found, deciding) for arm in found.arms],
        "split_wrong": found.split_wrong,
        "requests_chart": drawn.requests(),
        "metric_chart": drawn.metric(experiment.metric),
        "bar_options": series.STACKED,
        "line_options": series.LINES,
        "quiet": not any(one.requests for one in found.figures.values()),
    }


def _row(arm: Arm, found: Results, deciding: ExperimentVerdict) -> ArmRow:
    one = found.figures[arm.name]
    measured = found.measured.samples[Metric.COST][arm.name]
    feedback = "–"
    if one.feedback is not None:
        feedback = f"{one.feedback:+.2f} ({figures.commas(one.feedback_count)})"
    return ArmRow(
        arm=arm,
        control=arm.control,
        won=deciding.winner == arm.name,
        what=describe_arm(arm),
        figures=one,
        share=f"{arm.weight / 100:g}\u00a0%",
        error_rate=f"{100 * one.error_rate:.2f}\u00a0%",
        cost_each=MEASURES[Metric.COST].format(measured.mean)
        if measured.count
        else "–",
        latency=f"{figures.duration(one.p50_ms)} / {figures.duration(one.p95_ms)}",
        feedback=feedback,
    )


def _plot(metric: str, verdict: ExperimentVerdict) -> Plot:
    measure = MEASURES[metric]
    known = {name: one for name, one in verdict.compared.items() if one.interval}
    reach = max((_reach(one) for one in known.values()), default=0.0) * 1.15
    bars = tuple(
        _bar(metric, name, one, number, reach or 1.0)
        for number, (name, one) in enumerate(known.items())
    )
    sides = ("lower", "higher")
    return Plot(
        title=measure.noun.capitalize(),
        verdict=verdict,
        word=_WORDS[verdict.kind],
        type=_TYPES[verdict.kind],
        bars=bars,
        height=ROW * len(bars) + FOOT,
        worse=sides[not measure.higher_is_better],
        better=sides[measure.higher_is_better],
    )


def _reach(one: Comparison) -> float:
    return max(abs(one.interval.low), abs(one.interval.high)) if one.interval else 0.0


def _bar(metric: str, name: str, one: Comparison, number: int, reach: float) -> Bar:
    measure, found = MEASURES[metric], one.interval
    if found is None:
        raise ValueError("Without an interval there is nothing to draw.")

    def x(value: float) -> float:
        better = value if measure.higher_is_better else -value
        return round(_MIDDLE + _HALF * better / reach, 1)

    def signed(value: float) -> str:
        return f"{'−' if value < 0 else '+'}{measure.format_change(abs(value))}"

    tone = "even"
    if found.excludes_zero():
        tone = "good" if (found.low > 0) == measure.higher_is_better else "bad"
    return Bar(
        arm=name,
        y=ROW * number,
        left=min(x(found.low), x(found.high)),
        right=max(x(found.low), x(found.high)),
        at=x(one.difference),
        tone=tone,
        low=signed(found.low),
        high=signed(found.high),
    )
