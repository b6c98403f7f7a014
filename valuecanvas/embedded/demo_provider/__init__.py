"""A deterministic OpenAI-compatible provider for demos, tests, load and drills."""
