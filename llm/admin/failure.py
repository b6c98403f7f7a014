"""Why a request was not answered, in words for operators."""

from collections.abc import Sequence

from billing.models import Usage
from llm.admin.answer import REMEDIES
from llm.models import Attempt
from llm.settlement.explanation import CAUSES

ANSWERED = ("ok", "correction")


def cause(usage: Usage, attempts: Sequence[Attempt]) -> str:
    """What failed; empty for a request that was answered."""
    if usage.status in ANSWERED:
        return ""
    code, last = usage.error_code, attempts[-1] if attempts else None
    known = CAUSES.get(code) or CAUSES.get(usage.status)
    parts = [
        known or f"The caller got the error {code or usage.status}.",
        _provider_words(last) if last else _nobody(usage),
        "" if known else REMEDIES.get(code, ""),
    ]
    return " ".join(part for part in parts if part)


def _provider_words(last: Attempt) -> str:
    status = f" {last.status}" if last.status else ""
    words = f": {last.error}" if last.error else ""
    return f"The last attempt was {last.provider}, with the outcome {last.outcome}{status}{words}."


def _nobody(usage: Usage) -> str:
    if usage.provider:
        return f"Its provider was {usage.provider}."
    return "" if usage.attempts else "No provider was called."
