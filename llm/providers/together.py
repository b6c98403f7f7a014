"""Together.ai, whose 403 means that the context is too long, not a bad key."""

from typing import Any

from llm.providers.base import Kind, Verdict
from llm.providers.error_words import classify


def read(status: int, error: dict[str, Any]) -> Verdict:
    """As docs.together.ai/docs/error-codes has it."""
    if status == 403:
        return Verdict.CLIENT
    return classify(status, error)


KIND = Kind(title="Together.ai", classify=read)
