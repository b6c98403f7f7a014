"""How many requests an experiment will meet, from those of the last hour."""

from datetime import timedelta
from typing import NamedTuple

from django.db import DatabaseError
from django.utils import timezone

from llm.chaos.plan import read_plan, write_plan
from llm.chaos.steady_state import measure
from llm.models.chaos import ChaosExperiment

SPAN = timedelta(hours=1)


class Estimate(NamedTuple):
    """Requests of the last hour that match, and how many a run will meet."""

    matched: int
    met: int


def estimate(experiment: ChaosExperiment) -> Estimate | None:
    """As if the next minutes were like the last hour; None: it could not be counted."""
    now = timezone.now()
    plan = read_plan(write_plan(experiment))
    try:
        matched = measure(plan, now - SPAN, now).requests
    except DatabaseError:
        return None
    share = experiment.ttl_s / SPAN.total_seconds() * float(experiment.percent) / 100
    return Estimate(matched, round(matched * share))
