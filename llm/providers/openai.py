"""OpenAI itself."""

from llm.providers.base import Kind
from llm.providers.error_words import classify

KIND = Kind(
    title="OpenAI",
    classify=classify,
    responses=True,
    # Its reasoning models refuse max_tokens.
    cap_field="max_completion_tokens",
)
