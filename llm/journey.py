"""What happened to one request upstream, whatever became of it."""

from dataclasses import dataclass, field

from llm.providers.base import Verdict
from llm.types import Failure, Held
from valuecanvas.core.errors import (
    GatewayError,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)


@dataclass(slots=True)
class Journey:
    """A request on its way through its routes. `deadline` is by the monotonic clock."""

    held: Held
    deadline: float
    failures: list[Failure] = field(default_factory=list)
    attempts: int = 0
    # Number of the candidate that is or was being tried.
    route: int = 0
    timed_out: bool = False
    # Has any provider got something of the request, and has one now?
    sent: bool = False
    under_way: bool = False
    soonest_ms: int | None = None

    def begin_sending(self) -> None:
        """Note that a provider is about to get the request."""
        self.sent = self.under_way = True

    def back_in(self, wait_ms: int) -> None:
        """Note that one of the routes may be asked again after `wait_ms`."""
        self.soonest_ms = min(wait_ms, self.soonest_ms or wait_ms)

    def exhausted(self) -> GatewayError:
        """What the caller gets when no route delivered."""
        wait = max(1, -(-(self.soonest_ms or 1000) // 1000))
        if not self.failures:
            return Unavailable(
                "Every provider of this model is unavailable now; try again shortly.",
                code="no_provider_available",
                headers={"Retry-After": str(wait)},
            )
        if all(one.verdict == Verdict.THROTTLED for one in self.failures):
            return Unavailable(
                "Every provider of this model asks us to slow down; try again shortly.",
                code="providers_throttled",
                headers={"Retry-After": str(wait)},
            )
        if self.timed_out:
            return UpstreamTimeout("No provider of this model answered in time.")
        return UpstreamError("No provider of this model could answer.")
