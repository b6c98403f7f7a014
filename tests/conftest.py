"""Engines for the whole run; the rest of the fixtures lives in tests/fixtures_*.py."""

import pytest
from django.conf import settings
from django.test import TransactionTestCase

from tests import fresh_logins
from tests.tables import empty_tables

# Few tests and slow ones: begun last, they would keep one worker busy and the others idle.
SLOW = {
    "backups", "browser", "faults", "journeys", "hooks", "races", "test_crash_recovery.py", "test_statistics_peeking.py",
}  # fmt: skip
pytest_plugins = [
    "tests.fixtures_billing",
    "tests.fixtures_backups",
    "tests.fixtures_demo",
    "tests.fixtures_ledger",
    "tests.fixtures_store",
]


def pytest_configure() -> None:
    """What each test pays for must not cost a third of a second."""
    settings.PASSWORD_HASHERS = ["tests.quick_passwords.QuickHasher"]
    fresh_logins.install()
    # Django has no public name for what ends a test that commits; its stubs have none.
    TransactionTestCase._fixture_teardown = (  # type: ignore[attr-defined]
        lambda case: empty_tables()
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, in whatever order they are."""
    items.sort(key=lambda item: SLOW.isdisjoint(item.path.parts))
