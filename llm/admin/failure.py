"""Why a request was not answered, in an operator's words."""

from collections.abc import Sequence

from billing.models import Usage
from llm.admin.answer import REMEDIES
from llm.models import Attempt

ANSWERED = ("ok", "correction")
# By the request's code, or else by its status.
CAUSES = {
    "client_gone": "The client closed its connection before the answer was complete.",
    "process_died": "The gateway's process ended while the request was under way.",
    "server_shutdown": "The gateway was going down.",
    "interrupted": "The answer broke off after a part of it had been sent.",
    "abandoned": "The gateway gave the request up before it was answered.",
}


def cause(usage: Usage, attempts: Sequence[Attempt]) -> str:
    """What failed; empty for a request that was answered."""
    if usage.status in ANSWERED:
        return ""
    code, last = usage.error_code, attempts[-1] if attempts else None
    known = CAUSES.get(code) or CAUSES.get(usage.status)
    parts = [
        known or f"The caller was told: {code or usage.status}.",
        _provider_words(last) if last else _nobody(usage),
        "" if known else REMEDIES.get(code, ""),
    ]
    return " ".join(part for part in parts if part)


def _provider_words(last: Attempt) -> str:
    status = f" {last.status}" if last.status else ""
    words = f": {last.error}" if last.error else ""
    return f"Last tried was {last.provider}, with the outcome {last.outcome}{status}{words}."


def _nobody(usage: Usage) -> str:
    if usage.provider:
        return f"Its provider was {usage.provider}."
    return "" if usage.attempts else "No provider was tried."
