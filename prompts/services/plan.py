"""Checks of the plan of a gradual rollout: steps and guards."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from valuecanvas.core.targeting.bucketing import BUCKETS

MOST_STEPS = 50
LONGEST_WAIT = 60 * 24 * 90
GUARDED = ("error_rate", "latency", "cost", "feedback")


def check_steps(steps: Sequence[Mapping[str, int]], share: int) -> list[dict[str, int]]:
    """Check steps: growing shares, each with a wait in minutes.

    Raises ValidationError for 'steps'.
    """
    if len(steps) > MOST_STEPS:
        raise ValidationError({"steps": f"At most {MOST_STEPS} steps."})
    shares = [share, *(step.get("share", 0) for step in steps)]
    _refuse("steps", "Step", map(_step_problem, steps, shares))
    return [dict(step) for step in steps]


def check_guards(guards: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Check guards. Raises ValidationError for 'guards'."""
    _refuse("guards", "Guard", map(_guard_problem, guards))
    return [dict(guard) for guard in guards]


def _refuse(field: str, noun: str, problems: Iterable[str]) -> None:
    """Raise ValidationError for the first row with a problem."""
    for number, problem in enumerate(problems, start=1):
        if problem:
            raise ValidationError({field: f"{noun} {number}: {problem}"})


def _step_problem(step: Mapping[str, int], before: int) -> str:
    if set(step) != {"share", "after_minutes"}:
        return 'write {"share", "after_minutes"}.'
    if not _whole(step["share"], before + 1, BUCKETS):
        return f"its share must be more than {before / 100:g} %."
    if not _whole(step["after_minutes"], 1, LONGEST_WAIT):
        return "the wait must be 1 minute to 90 days."
    return ""


def _guard_problem(guard: Mapping[str, Any]) -> str:
    if set(guard) != {"metric", "worse_by", "minimum_requests"}:
        return 'write {"metric", "worse_by", "minimum_requests"}.'
    if guard["metric"] not in GUARDED:
        return f"the metric is one of {', '.join(GUARDED)}."
    worse = guard["worse_by"]
    if isinstance(worse, bool) or not isinstance(worse, int | float) or worse <= 0:
        return "'worse_by' must be more than 0."
    if not _whole(guard["minimum_requests"], 1, 1_000_000):
        return "it needs at least 1 request."
    return ""


def _whole(value: object, least: int, most: int) -> bool:
    number = isinstance(value, int) and not isinstance(value, bool)
    return number and least <= value <= most  # type: ignore[operator]
