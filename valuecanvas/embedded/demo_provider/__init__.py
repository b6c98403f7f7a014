"""A deterministic OpenAI-compatible provider, so that a demo needs no account."""
