"""OpenAI itself."""

from llm.providers.base import Kind, classify

KIND = Kind(
    title="OpenAI",
    classify=classify,
    responses=True,
    # Its reasoning models refuse max_tokens.
    cap_field="max_completion_tokens",
)
