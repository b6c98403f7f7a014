"""Engines for the whole run; the rest of the fixtures lives in tests/fixtures_*.py."""

from django.conf import settings

pytest_plugins = [
    "tests.fixtures_billing",
    "tests.fixtures_demo",
    "tests.fixtures_ledger",
    "tests.fixtures_store",
]


def pytest_configure() -> None:
    """A user for each test must not cost a third of a second."""
    settings.PASSWORD_HASHERS = ["tests.quick_passwords.QuickHasher"]
