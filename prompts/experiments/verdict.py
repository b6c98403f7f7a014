"""Verdicts: conclusions from an experiment's figures, in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from prompts.experiments import statistics
from prompts.experiments.statistics import ArmSample, Comparison, Interval
from prompts.models.experiment import Metric
from valuecanvas.core.templatetags import figures

EARLY, NONE, BETTER, WORSE = "early", "none", "better", "worse"


@dataclass(frozen=True, slots=True)
class Measure:
    """The name, direction and formats of a metric."""

    noun: str
    higher_is_better: bool
    format: Callable[[float], str]
    format_change: Callable[[float], str]  # formats a difference without its sign
    rare: bool = False


def _percent(value: float) -> str:
    return f"{100 * value:.2f}\u00a0%"


def _points(value: float) -> str:
    return f"{100 * value:.2f} points"


def _usd(value: float) -> str:
    return figures.usd(Decimal(f"{value:.6f}"))


def _millis(value: float) -> str:
    return figures.duration(round(value))


def _score(value: float) -> str:
    return f"{value:.2f}"


MEASURES: Mapping[str, Measure] = {
    Metric.ERROR_RATE: Measure("error rate", False, _percent, _points, rare=True),
    Metric.FEEDBACK: Measure("feedback score", True, _score, _score),
    Metric.COST: Measure("cost per request", False, _usd, _usd),
    Metric.LATENCY: Measure("latency", False, _millis, _millis),
}


@dataclass(frozen=True, slots=True)
class ExperimentVerdict:
    """The conclusion for one metric. `kind` is early, none, better or worse.

    `winner` is the arm to prefer, '' while there is none; `compared` has every arm but
    the control.
    """

    metric: str
    kind: str
    winner: str
    headline: str
    sentences: tuple[str, ...]
    compared: Mapping[str, Comparison]


def judge(
    metric: str, samples: Mapping[str, ArmSample], *, control: str, alpha: float
) -> ExperimentVerdict:
    """Compare each arm with the control.

    With several, `alpha` is shared out among them (Bonferroni): it is the chance of any
    false claim on this metric.
    """
    measure = MEASURES[metric]
    others = {name: one for name, one in samples.items() if name != control}
    each = alpha / max(1, len(others))
    base = samples[control]
    compared = {
        name: statistics.compare(one, base, each, rare=measure.rare)
        for name, one in others.items()
    }
    significant = {
        name: one for name, one in compared.items() if one.is_significant(each)
    }
    better = {name: one for name, one in significant.items() if _gain(measure, one) > 0}
    sentences = tuple(
        _sentence(measure, name, control, one) + _relative_text(measure, one, base)
        for name, one in compared.items()
    )
    if better:
        winner = max(better, key=lambda name: _gain(measure, better[name]))
        headline = f"{winner} is better than {control}."
        if len(better) > 1:
            sentences += (f"{_join(better)} were not compared with each other.",)
        return ExperimentVerdict(metric, BETTER, winner, headline, sentences, compared)
    if significant and len(significant) == len(others):
        headline = f"{control} is better than {_join(significant)}."
        return ExperimentVerdict(metric, WORSE, control, headline, sentences, compared)
    if any(one.p is not None for one in compared.values()):
        headline = "No significant difference yet."
        if significant:
            headline = f"{_join(significant)} can be dropped: {control} is better."
        return ExperimentVerdict(metric, NONE, "", headline, sentences, compared)
    missing = (_missing_data(measure, name, one, base) for name, one in others.items())
    return ExperimentVerdict(
        metric, EARLY, "", "Too early to tell.", tuple(missing), compared
    )


def relative_interval(comparison: Comparison, control: ArmSample) -> Interval | None:
    """The interval relative to the control's mean; None if that is not positive."""
    found = comparison.interval
    if found is None or control.mean <= 0:
        return None
    return Interval(found.low / control.mean, found.high / control.mean)


def _gain(measure: Measure, one: Comparison) -> float:
    return one.difference if measure.higher_is_better else -one.difference


def _join(names: Mapping[str, object]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _sentence(measure: Measure, name: str, control: str, one: Comparison) -> str:
    if one.interval is None:
        return f"{name} and {control} cannot be compared yet: too few cases"
    low, high = one.interval.low, one.interval.high
    whose = f"{name}'s {measure.noun} is"
    if low == high == 0:
        return f"{whose} the same as {control}'s, in all cases"
    if one.interval.excludes_zero():
        word = "higher" if low > 0 else "lower"
        least, most = sorted((abs(low), abs(high)))
        ends = f"{measure.format_change(least)} to {measure.format_change(most)}"
        return f"{whose} {word} than {control}'s by {ends}"
    ends = f"{measure.format_change(abs(low))} lower and {measure.format_change(abs(high))} higher"
    return f"{whose} somewhere between {ends} than {control}'s"


def _relative_text(measure: Measure, one: Comparison, base: ArmSample) -> str:
    """The relative difference in brackets, if it is useful, and a full stop."""
    found = relative_interval(one, base)
    if found is None or measure.higher_is_better or not found.excludes_zero():
        return "."
    least, most = sorted((abs(found.low), abs(found.high)))
    return f" ({100 * least:.0f} to {100 * most:.0f}\u00a0%)."


def _missing_data(measure: Measure, name: str, one: ArmSample, base: ArmSample) -> str:
    least = min(one.units, base.units)
    if least < statistics.MIN_UNITS:
        return (
            f"{name} and the control have {one.units} and {base.units} users; "
            f"each needs {statistics.MIN_UNITS}."
        )
    cases = round(one.total + base.total)
    return (
        f"{name} and the control together have {cases} cases of what is counted "
        f"({measure.noun}); {statistics.MIN_EVENTS} are needed."
    )
