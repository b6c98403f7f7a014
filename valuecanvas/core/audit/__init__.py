"""Audit: who changed what, when, from where and why. The database writes it itself."""
