"""REST for managing prompts, under /api/prompts."""
