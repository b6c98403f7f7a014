"""What a check of a part looks for, and what it finds."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class HealthState(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILING = "failing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """How a part fares: its state, a figure in words, and what to do, if anything."""

    state: HealthState
    figure: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A check of one part. `run` gives None where this process has no such part.

    `page` is the URL name of the admin's page about it. `needs` names the check without
    which there is nothing to find out. `run` may raise DatabaseError and RedisError.
    """

    name: str
    title: str
    run: Callable[[], HealthFinding | None]
    page: str = ""
    needs: str = ""


def judge_figure(figure: str, *remedies: tuple[bool, str]) -> HealthFinding:
    """A warning with the remedy of the first condition that holds; ok without one."""
    for holds, remedy in remedies:
        if holds:
            return HealthFinding(HealthState.WARNING, figure, remedy)
    return HealthFinding(HealthState.OK, figure)
