"""Processes of the gateway that share the tests' own database."""

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from tests.demo_process import DemoProcess
from tests.faults.web import Web, webs
from tests.live.server import database_url
from tests.live.world import World, unique
from tests.races.fleet import PROCESSES, Fleet
from tests.tables import empty_tables


@pytest.fixture(scope="module")
def emptied_once(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """The tables are emptied at the end of the module, not after each test.

    So names must be unique.
    """
    with django_db_blocker.unblock():
        yield
        empty_tables()
        connections.close_all()


@pytest.fixture(scope="module")
def fleet(
    transactional_db: None,
    demo_provider: DemoProcess,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fleet]:
    """For modules in whose place `transactional_db` is `emptied_once`."""
    folder = tmp_path_factory.mktemp("fleet")
    env = {
        "DATABASE_URL": database_url(),
        "REDIS_PREFIX": unique("fleet"),
        "VALUECANVAS_VAR": str(settings.VAR_DIR),
        "JOURNAL_DIR": str(folder / "journal"),
        # The machine may be busy.
        "REDIS_TIMEOUT_MS": "5000",
        "DB_LOCK_TIMEOUT_MS": "60000",
        "DB_STATEMENT_TIMEOUT_MS": "60000",
        "LOG_LEVEL": "info",
        "SHUTDOWN_GRACE_S": "0",
        "ACCESS_LOG": "off",
    }
    application = "tests.races.switches:application"
    made = [Web(folder, env, application) for _ in range(PROCESSES)]
    with webs(made) as running:
        world = World(demo_provider)
        world.customer, world.key = world.new_customer(daily_requests=1_000_000)
        yield Fleet(world, running)
        world.close()


@pytest.fixture
def unguarded(fleet: Fleet) -> Iterator[Callable[[str], None]]:
    """Takes a guard off until the test ends."""
    yield lambda guard: fleet.guards(f"{guard}/off")
    fleet.guards("on")
