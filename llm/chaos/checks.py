"""Why a run may not start: each check gives a sentence that names field and remedy."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import OperationalError
from django.utils import timezone

from llm.chaos import chaos_windows
from llm.chaos.faults import check_parameters
from llm.chaos.plan import ATTRIBUTES, FaultPlan
from llm.chaos.steady_state import share_of_requests
from llm.models import ChaosExperiment, ChaosRun, Model, Provider
from llm.resolve.plan import KIND_OF
from valuecanvas.core.targeting.conditions import check_conditions

LEAST_TTL_S = 10


def check_person(by: User | AnonymousUser | None) -> str:
    """Only a superuser starts a run, from wherever."""
    if by is not None and by.is_active and by.is_superuser:
        return ""
    return "Only a superuser may start experiments and drills: ask one to do it."


def check_experiment(experiment: ChaosExperiment) -> str:
    """What is wrong with the experiment itself; '': nothing."""
    found = [
        *check_parameters(experiment.fault, experiment.parameters).items(),
        *_check_target(experiment),
        *_check_numbers(experiment),
    ]
    return " ".join(f"{name}: {text}" for name, text in found)


def check_ttl(ttl_s: int) -> str:
    """A run ends by itself, soon."""
    most = settings.CHAOS_MOST_TTL_S
    if LEAST_TTL_S <= ttl_s <= most:
        return ""
    return f"ttl_s: enter {LEAST_TTL_S} to {most} seconds (CHAOS_MOST_TTL_S)."


def check_blast_radius(plan: FaultPlan, most: Decimal) -> str:
    """The faults meet no more of all requests than `most` percent, nor than production
    allows.
    """
    try:
        share = share_of_requests(plan, timezone.now())
    except OperationalError:
        return (
            "blast_percent: the requests of the last minutes could not be counted in time. "
            "Try again, or narrow the target to models or endpoints."
        )
    name, cap = "blast_percent", float(most)
    if settings.PRODUCTION and cap > settings.CHAOS_MOST_PERCENT:
        name, cap = "CHAOS_MOST_PERCENT", settings.CHAOS_MOST_PERCENT
    met = share * plan.percent
    if met <= cap:
        return ""
    return (
        f"percent: about {met:.3g}% of all requests would meet the fault, and {name} allows "
        f"{cap:g}%. Lower percent, or narrow the target."
    )


def check_overlap(plan: FaultPlan, runs: Iterable[tuple[ChaosRun, FaultPlan]]) -> str:
    """One run a target: faults of two could not be told apart."""
    for run, other in runs:
        if _overlap(plan, other):
            return (
                f"'{run.name}' has been running on the same target since "
                f"{run.started_at:%H:%M} UTC: wait for its end, or stop it."
            )
    return ""


def check_forbidden() -> str:
    """Whether faults may be injected at all now."""
    return chaos_windows.why_forbidden()


def _overlap(one: FaultPlan, other: FaultPlan) -> bool:
    """Whether providers, models and endpoints all have something in common."""
    pairs = (
        (one.providers, other.providers),
        (one.model_names, other.model_names),
        (one.endpoints, other.endpoints),
    )
    return all(not a or not b or a & b for a, b in pairs)


def _check_target(experiment: ChaosExperiment) -> Iterator[tuple[str, str]]:
    known: tuple[tuple[str, list[str], Any], ...] = (
        ("providers", experiment.providers, Provider.objects.values_list("key", flat=True)),
        ("model_names", experiment.model_names, Model.objects.values_list("name", flat=True)),
        ("endpoints", experiment.endpoints, KIND_OF),
    )  # fmt: skip
    for field, names, existing in known:
        if names and (missing := sorted(set(names) - set(existing))):
            yield field, f"there is no '{missing[0]}': remove it, or write it as it is."
    if wrong := check_conditions(experiment.conditions):
        yield "conditions", wrong
        return
    for one in experiment.conditions:
        if one["attribute"] not in ATTRIBUTES:
            yield (
                "conditions",
                f"'{one['attribute']}' cannot be measured: use {', '.join(ATTRIBUTES)}.",
            )


def _check_numbers(experiment: ChaosExperiment) -> Iterator[tuple[str, str]]:
    if not 0 < experiment.percent <= 100:
        yield "percent", "enter more than 0, and at most 100."
    if not 0 < experiment.blast_percent <= 100:
        yield "blast_percent", "enter more than 0, and at most 100."
    if experiment.most_error_percent is None:
        yield "most_error_percent", "enter the limit at which the run is aborted."
    elif not 0 <= experiment.most_error_percent < 100:
        yield "most_error_percent", "enter 0 or more, and less than 100."
    if wrong := check_ttl(experiment.ttl_s):
        field, _, text = wrong.partition(": ")
        yield field, text
