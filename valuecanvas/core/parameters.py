"""Fields of a request that neither a stored prompt nor a flag may set."""

# With these a request would choose the upstream itself, or its key.
UPSTREAM = frozenset(
    {"api_base", "base_url", "api_key", "api_version", "extra_headers", "extra_body",
     "custom_llm_provider", "organization", "headers"}
)  # fmt: skip
# Who asks, how the answer is delivered, and the words.
REQUEST = frozenset(
    {"stream", "stream_options", "messages", "input", "model", "prompt", "user",
     "metadata", "store"}
)  # fmt: skip
RESERVED = UPSTREAM | REQUEST
