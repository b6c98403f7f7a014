"""REST for managing flags, under /api/flags."""
