"""The values that breakers take and return. Times are milliseconds."""

from dataclasses import dataclass
from enum import StrEnum


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    FORCED_CLOSED = "forced_closed"


class Event(StrEnum):
    """The outcome of a call."""

    OK = "ok"
    FAILURE = "failure"
    AUTH = "auth"
    BILLING = "billing"
    THROTTLED = "throttled"
    # A probe that ended with neither outcome: its slot is free again.
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Pass:
    """Permission for one call. Results of another generation are ignored."""

    generation: int
    probe: bool = False
    # Given by process-local state, while Redis did not answer.
    local: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """A refusal: try again after `retry_ms`."""

    state: BreakerState
    reason: str
    retry_ms: int


@dataclass(frozen=True, slots=True)
class BreakerReport:
    """The outcome of a call; `successes` are those not reported yet."""

    event: Event
    generation: int
    successes: int = 0
    wait_ms: int = 0
    # The share of the open time that is taken off.
    jitter: float = 0.0
    # The chaos experiment that made the call fail.
    injected_by: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a breaker: a provider and its name for the model.

    The calls that a chaos experiment may meet have breakers of their own, by `scope`.
    """

    provider: str
    model: str
    scope: str = ""


@dataclass(frozen=True, slots=True)
class BreakerView:
    """The state of a breaker, for display."""

    state: BreakerState
    reason: str
    completed: int
    failures: int
    retry_ms: int
    throttled_ms: int


@dataclass(frozen=True, slots=True)
class BreakerAnswer:
    """The breaker after a report; `before` differs from `state` on a transition."""

    before: BreakerState
    state: BreakerState
    generation: int
    reason: str
    failing: bool
