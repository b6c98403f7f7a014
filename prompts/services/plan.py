"""Checks of the plan of a gradual rollout: steps and guards."""

from collections.abc import Mapping, Sequence
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
        raise _wrong("steps", f"At most {MOST_STEPS} steps.")
    found, before = [], share
    for number, step in enumerate(steps, start=1):
        if set(step) != {"share", "after_minutes"}:
            text = f'Step {number}: write {{"share", "after_minutes"}}.'
            raise _wrong("steps", text)
        if not _whole(step["share"], before + 1, BUCKETS):
            text = f"Step {number}: its share must be more than {before / 100:g} %."
            raise _wrong("steps", text)
        if not _whole(step["after_minutes"], 1, LONGEST_WAIT):
            raise _wrong(
                "steps", f"Step {number}: the wait must be 1 minute to 90 days."
            )
        before = step["share"]
        found.append(dict(step))
    return found


def check_guards(guards: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Check guards. Raises ValidationError for 'guards'."""
    found = []
    for number, guard in enumerate(guards, start=1):
        if set(guard) != {"metric", "worse_by", "minimum_requests"}:
            text = (
                f'Guard {number}: write {{"metric", "worse_by", "minimum_requests"}}.'
            )
            raise _wrong("guards", text)
        if guard["metric"] not in GUARDED:
            text = f"Guard {number}: the metric is one of {', '.join(GUARDED)}."
            raise _wrong("guards", text)
        worse = guard["worse_by"]
        if isinstance(worse, bool) or not isinstance(worse, int | float) or worse <= 0:
            raise _wrong("guards", f"Guard {number}: 'worse_by' must be more than 0.")
        if not _whole(guard["minimum_requests"], 1, 1_000_000):
            raise _wrong("guards", f"Guard {number}: it needs at least 1 request.")
        found.append(dict(guard))
    return found


def _whole(value: object, least: int, most: int) -> bool:
    number = isinstance(value, int) and not isinstance(value, bool)
    return number and least <= value <= most  # type: ignore[operator]


def _wrong(field: str, text: str) -> ValidationError:
    return ValidationError({field: text})
