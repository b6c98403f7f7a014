"""OpenAI itself."""

from llm.providers.base import ProviderKind
from llm.providers.error_words import classify

KIND = ProviderKind(
    title="OpenAI",
    classify=classify,
    responses=True,
    # Its reasoning models refuse max_tokens.
    cap_field="max_completion_tokens",
)
