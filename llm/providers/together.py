"""Together.ai, whose 403 means that the context is too long, not a bad key."""

from typing import Any

from llm.providers.base import ProviderKind, Verdict
from llm.providers.error_words import classify


def read_verdict(status: int, error: dict[str, Any]) -> Verdict:
    """As docs.together.ai/docs/error-codes has it."""
    if status == 403:
        return Verdict.CLIENT
    return classify(status, error)


KIND = ProviderKind(title="Together.ai", classify=read_verdict)
