"""Engines for the whole run; the rest of the fixtures lives in tests/fixtures_*.py."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import TransactionTestCase

from tests import clock, fresh_logins
from tests.tables import empty_tables

# Few tests and slow ones: begun last, they would keep one worker busy and the others idle.
SLOW = {
    "backups", "browser", "faults", "journeys", "hooks", "races", "test_crash_recovery.py", "test_statistics_peeking.py",
}  # fmt: skip
# The programs that these tests start are under load, and run what other tests cover: to
# trace them would slow them down for nothing.
UNMEASURED = {
    "backups", "bench", "browser", "faults", "journeys", "races", "security", "upgrade",
}  # fmt: skip
MEASURE = "COVERAGE_PROCESS_CONFIG"
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


@pytest.fixture(autouse=True, scope="module")
def measure_programs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Coverage of programs that a module starts, unless it is of the UNMEASURED."""
    with pytest.MonkeyPatch.context() as patch:
        if not UNMEASURED.isdisjoint(request.path.parts):
            patch.delenv(MEASURE, raising=False)
        yield


def pytest_runtest_setup() -> None:
    clock.wait_for_midnight()
