"""Prompts over REST: a thin door to `prompts.services` and the tables."""
