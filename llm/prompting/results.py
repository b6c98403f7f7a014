"""Computes an experiment's results: each arm's figures, and the verdicts."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils import timezone

from llm.prompting import metrics
from llm.prompting.metrics import Figures, Measured, Window
from prompts.experiments import service, statistics
from prompts.experiments.verdict import ExperimentVerdict, judge
from prompts.models import Arm, Experiment
from prompts.models.experiment import ExperimentState, Metric


@dataclass(frozen=True, slots=True)
class Results:
    """The results since the last change of the weights.

    `split_p` is an always valid p-value of "users come to the arms by the weights".
    """

    window: Window
    arms: tuple[Arm, ...]
    control: str
    figures: Mapping[str, Figures]
    measured: Measured
    verdicts: Mapping[str, ExperimentVerdict]
    split_p: float

    @property
    def split_wrong(self) -> bool:
        return self.split_p <= statistics.SPLIT_ALPHA


def window(experiment: Experiment) -> Window | None:
    """The time span of an experiment's figures; None before it starts."""
    since = service.figures_since(experiment)
    if since is None or experiment.state == ExperimentState.DRAFT:
        return None
    until = experiment.stopped_at or timezone.now()
    # What was admitted in an arm before the stop is settled a little after it.
    late = metrics.LATE if experiment.stopped_at else dt.timedelta()
    return Window(experiment.prompt.key, since, until + late, experiment.key)


def results(experiment: Experiment) -> Results | None:
    """The results; None before the start. Raises DatabaseError if that takes too long."""
    span = window(experiment)
    if span is None:
        return None
    arms = tuple(experiment.arms.select_related("version"))
    names = [arm.name for arm in arms]
    control = next(arm.name for arm in arms if arm.control)
    found = {one.name: one for one in metrics.figures(span)}
    measured = metrics.samples(span, names)
    return Results(
        window=span,
        arms=arms,
        control=control,
        figures={name: found.get(name, Figures(name)) for name in names},
        measured=measured,
        verdicts={
            metric: judge(
                metric,
                measured.samples[metric],
                control=control,
                alpha=experiment.alpha,
            )
            for metric in Metric.values
        },
        split_p=statistics.split_p(
            measured.users, {arm.name: arm.weight for arm in arms}
        ),
    )
