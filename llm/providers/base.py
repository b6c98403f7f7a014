"""What a provider's answer means: one verdict for failover, breaker and bill."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The rows of the retry and failover table (docs/OPERATIONS.md)."""

    FAILURE = "failure"  # fail over; counts against the breaker
    THROTTLED = "throttled"  # fail over; wait for Retry-After
    AUTH = "auth"  # fail over; our key is bad
    BILLING = "billing"  # fail over; our account is out of money
    CLIENT = "client"  # the caller's mistake: passed through, no failover


Classify = Callable[[int, dict[str, Any]], Verdict]


@dataclass(frozen=True, slots=True)
class Kind:
    """How one family of providers behaves on the wire."""

    title: str
    classify: Classify
    # Has POST /responses; elsewhere the gateway translates to chat completions.
    responses: bool = False
    # The field with which it caps its output.
    cap_field: str = "max_tokens"


def error_of(body: Any) -> dict[str, Any]:
    """The `error` object of a parsed reply, or {}; some send a bare string."""
    if not isinstance(body, dict):
        return {}
    error = body.get("error")
    if isinstance(error, dict):
        return error
    return {"message": error} if isinstance(error, str) else {}


def classify(status: int, error: dict[str, Any]) -> Verdict:
    """The common reading of an HTTP status of 400 and up."""
    if status == 402 or error.get("code") == "insufficient_quota":
        return Verdict.BILLING
    if status in (401, 403):
        return Verdict.AUTH
    if status == 429:
        return Verdict.THROTTLED
    if status >= 500 or status < 400 or status == 408:
        return Verdict.FAILURE
    return Verdict.CLIENT
