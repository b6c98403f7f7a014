"""The verdict on a provider's answer, for failover, breaker and bill."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The rows of the retry and failover table (docs/OPERATIONS.md)."""

    FAILURE = "failure"  # fail over; counts against the breaker
    THROTTLED = "throttled"  # fail over; wait for Retry-After
    AUTH = "auth"  # fail over; our key seems bad
    BILLING = "billing"  # fail over; our account seems out of money
    CLIENT = "client"  # the caller's mistake: passed through, no failover
    UNUSABLE = "unusable"  # fail over; this one request did not fit: no outcome


Classify = Callable[[int, dict[str, Any]], Verdict]


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """How one kind of provider behaves."""

    title: str
    classify: Classify
    # Has POST /responses; elsewhere the gateway translates to chat completions.
    responses: bool = False
    # The field for its output cap.
    cap_field: str = "max_tokens"
