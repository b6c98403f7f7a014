"""Deep health: what each part of an installation is like now, and what to do about it."""
