"""Engines for the whole run; the rest of the fixtures lives in tests/fixtures_*.py."""

pytest_plugins = [
    "tests.fixtures_billing",
    "tests.fixtures_demo",
    "tests.fixtures_ledger",
    "tests.fixtures_store",
]
