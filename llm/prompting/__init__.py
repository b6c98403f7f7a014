"""Prompts where they meet requests: their choice, and what came of it."""
