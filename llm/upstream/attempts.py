"""Records what happened to one request upstream."""

import time
from dataclasses import dataclass, field

from llm.providers.base import Verdict
from llm.types import AdmittedCall, Failure
from valuecanvas.core.errors import (
    GatewayError,
    TooManyRequests,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)

_SLOWER = "it asks us to slow down"


@dataclass(slots=True)
class Attempts:
    """The attempts of one request to get an answer from its routes."""

    held: AdmittedCall
    # When the answer must have been delivered, by the monotonic clock.
    deadline: float = field(init=False)
    failures: list[Failure] = field(default_factory=list)
    count: int = 0
    # When the last one began, by the monotonic clock.
    started_at: float = 0.0
    # Number of the candidate that is or was being tried.
    route: int = 0
    timed_out: bool = False
    # Whether any provider was sent the request, and whether one is at it now.
    sent: bool = False
    sending: bool = False
    soonest_ms: int | None = None
    # How many of the failures have a row.
    recorded: int = 0
    # The chaos experiment that broke the attempt under way, and the one that slowed it.
    injected_by: str = ""
    slowed_by: str = ""
    # Routes that were not tried: (provider, why).
    skipped: list[tuple[str, str]] = field(default_factory=list)
    # The error of the journal, if it could not record the request.
    unrecorded: GatewayError | None = None

    def __post_init__(self) -> None:
        self.deadline = self.held.call.started + self.held.plan.longest_s

    def begin(self) -> None:
        """Begin the next attempt."""
        self.count += 1
        self.started_at = time.monotonic()
        self.injected_by = self.slowed_by = ""

    def experiment(self, *, timed_out: bool) -> str:
        """The chaos experiment that made the attempt fail; '' if none did."""
        return self.injected_by or (self.slowed_by if timed_out else "")

    def note_sending(self) -> None:
        """Note that a provider is about to get the request."""
        self.sent = self.sending = True

    def note_retry(self, wait_ms: int) -> None:
        """Note that a route may be tried again after `wait_ms`."""
        known = self.soonest_ms
        self.soonest_ms = wait_ms if known is None else min(wait_ms, known)

    def skip(self, provider: str, reason: str) -> None:
        """Note that a route was not tried, and why."""
        self.skipped.append((provider, reason))

    def reject(self, provider: str, reason: str) -> None:
        """Note that a breaker refused a route, and why."""
        throttled = reason == "throttled"
        self.skip(provider, _SLOWER if throttled else f"its breaker is open ({reason})")

    def final_error(self) -> GatewayError:
        """The error for the caller when no route delivered."""
        seconds = -(-(1000 if self.soonest_ms is None else self.soonest_ms) // 1000)
        wait = {"Retry-After": str(max(1, seconds))}
        causes = self._causes()
        if self._throttled():
            return TooManyRequests(
                "Every provider of this model asks us to slow down; try again after "
                f"the Retry-After seconds. {causes}",
                code="providers_throttled",
                headers=wait,
            )
        if not self.failures:
            return Unavailable(
                f"No provider of this model is available now; try again shortly. {causes}",
                code="no_provider_available",
                headers=wait,
            )
        if self.timed_out:
            return UpstreamTimeout(
                f"No provider of this model answered in time. {causes}"
            )
        return UpstreamError(f"No provider of this model could answer. {causes}")

    def _throttled(self) -> bool:
        """Whether every route asks us to slow down."""
        return all(one.verdict == Verdict.THROTTLED for one in self.failures) and all(
            reason == _SLOWER for _, reason in self.skipped
        )

    def _causes(self) -> str:
        """The reason of each route without an answer, in the order of the tries."""
        tried = (
            f"{one.provider}: {one.message}" + (f" {one.words}" if one.words else "")
            for one in self.failures
        )
        skipped = (f"{provider}: {reason}." for provider, reason in self.skipped)
        return " ".join(dict.fromkeys((*tried, *skipped)))
