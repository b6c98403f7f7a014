"""Passwords as in production, but for the work that slows a guesser down."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """Other processes, which hash slowly, read what it writes."""

    iterations = 1
