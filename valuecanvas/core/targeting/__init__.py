"""Conditions on a caller's attributes: one language for flags and experiments."""
