"""What a stored prompt or a flag may set in a request, and what it may not."""

from collections.abc import Mapping

# These would choose the upstream or its key.
UPSTREAM = frozenset(
    {"api_base", "base_url", "api_key", "api_version", "extra_headers", "extra_body",
     "custom_llm_provider", "organization", "headers"}
)  # fmt: skip
# The caller, the delivery and the content of a request.
REQUEST = frozenset(
    {"stream", "stream_options", "messages", "input", "model", "prompt", "user",
     "metadata", "store", "instructions", "previous_response_id", "conversation",
     "background", "background_options"}
)  # fmt: skip
RESERVED = UPSTREAM | REQUEST
# The limit of output tokens, under several names.
CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
CHOICES = "n"


def is_count(value: object) -> bool:
    """Whether `value` is a whole number from 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def wrong(parameters: Mapping[str, object]) -> str:
    """A message on a wrong number in `parameters`; empty: all are right."""
    for name in (*CAPS, CHOICES):
        if name in parameters and not is_count(parameters[name]):
            return f"'{name}' must be a whole number from 1."
    return ""
