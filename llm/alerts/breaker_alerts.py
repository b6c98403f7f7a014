"""Open circuit breakers, and providers that refuse our key."""

from collections.abc import Iterator

from django.contrib.admin.utils import quote
from django.urls import reverse

from billing.alerts.types import Condition
from billing.models import AlertRule
from llm.breaker import report
from llm.breaker.report import BreakerStatus
from llm.breaker.types import BreakerState, Event

# Not those that an operator has forced.
NOT_CLOSED = (BreakerState.OPEN, BreakerState.HALF_OPEN)
REFUSED_KEY = (Event.AUTH, f"probe: {Event.AUTH}")


def find_open_breakers(rule: AlertRule) -> Iterator[Condition]:
    """Each breaker that is not closed. Raises UnreadableReport."""
    for one in _find_not_closed():
        if one.reason in REFUSED_KEY:
            continue
        yield Condition(
            f"breaker:{one.provider}:{one.upstream_model}",
            f"The circuit breaker of '{one.upstream_model}' at {one.provider} is open: "
            f"{one.reason}.",
            {
                "provider": one.provider,
                "upstreamModel": one.upstream_model,
                "reason": one.reason,
            },
            reverse("admin:llm_breakers"),
        )


def find_refused_keys(rule: AlertRule) -> Iterator[Condition]:
    """Each provider whose breakers are open since it refuses our key."""
    refused = {one.provider for one in _find_not_closed() if one.reason in REFUSED_KEY}
    for provider in sorted(refused):
        yield Condition(
            f"key:{provider}",
            f"The provider {provider} refuses our API key: enter a valid one.",
            {"provider": provider},
            reverse("admin:llm_provider_change", args=[quote(provider)]),
        )


def _find_not_closed() -> list[BreakerStatus]:
    return [one for one in report.states() if one.state in NOT_CLOSED]
