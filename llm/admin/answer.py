"""The answer or the error of a request that an admin page sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llm.replies.completion import Completion
from valuecanvas.core.errors import GatewayError

# What an operator can do about an error, by its code.
REMEDIES = {
    "insufficient_quota": "This customer used up the requests of its tier for today. "
    "Choose another customer, or give it a higher tier.",
    "budget_exceeded": "This request might exceed a budget. Raise the budget, or ask "
    "for fewer tokens.",
    "rate_limit_exceeded": "Wait a moment, then send again.",
    "customer_suspended": "Resume the customer on its page, or choose another one.",
    "no_tier": "Give the customer a tier.",
    "no_route": "Add a route to the model, or enable its route and provider.",
    "no_provider_available": "Every route failed or is open. See Circuit breakers, "
    "and test the connection of each provider.",
    "providers_throttled": "The providers throttle our requests. Try again in a minute.",
    "service_unavailable": "Part of the gateway is down. Try again in a minute; if it "
    "is still down, see the logs.",
    "model_not_found": "Make sure that the model is enabled and has a route.",
    "model_unpriced": "Add a price for the upstream model under Prices.",
    "upstream_timeout": "The provider was too slow. Try again, or raise the model's "
    "timeouts.",
    "upstream_error": "The provider failed. See Failed attempts for its message.",
}
REMEDY = "See Requests and Failed attempts for what happened."


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as the caller gets it, with its remedy."""

    message: str
    code: str | None
    status: int
    remedy: str


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """A completion or a problem; `version` is the prompt's, 0 without one."""

    done: Completion | None = None
    error: Problem | None = None
    version: int = 0


def ask(
    call: Callable[[], Completion],
    *,
    version: int = 0,
    remedies: Mapping[str, str] = REMEDIES,
) -> ProviderAnswer:
    try:
        return ProviderAnswer(call(), version=version)
    except GatewayError as error:
        remedy = remedies.get(error.code or "", REMEDY)
        problem = Problem(error.message, error.code, error.status, remedy)
        return ProviderAnswer(error=problem, version=version)


def read_answer(stored: Mapping[str, Any]) -> ProviderAnswer:
    """An answer from its stored JSON values."""
    done, error = stored["done"], stored["error"]
    if done:
        done = Completion(**{**done, "cost_usd": Decimal(done["cost_usd"])})
    return ProviderAnswer(done, Problem(**error) if error else None, stored["version"])
