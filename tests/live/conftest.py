"""One gateway process for the session, and one customer with a key for each test."""

import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from django.db import connections
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from llm import runtime
from llm.admission import trace_rows
from llm.gateway import gateway_thread
from llm.metering import tokenizer
from llm.runtime import Runtime
from tests.demo_process import DemoProcess
from tests.fixtures_billing import unique
from tests.live.party import Party, gathering
from tests.live.server import LiveServer, database_url, live_server
from tests.live.world import World
from tests.otlp import Collector, running_collector
from tests.tables import empty_tables
from valuecanvas.core.telemetry import traces


@pytest.fixture(scope="session")
def server_env(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> dict[str, str]:
    """What makes a gateway use this worker's database and its own keys in Valkey."""
    with django_db_blocker.unblock():
        url = database_url()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return {"DATABASE_URL": url, "REDIS_PREFIX": f"live-{worker}", **FIXED_ENV}


FIXED_ENV = {
    "JWT_SECRET": "a-secret-of-the-tests-with-32-bytes-or-more",
    "JWT_ISSUER": "https://issuer.example/auth/v1",
    "LLM_HEADER_TIMEOUT_S": "1",
    # The machine may be busy, and an answer that comes late is no answer.
    "REDIS_TIMEOUT_MS": "2000",
    "LOG_LEVEL": "info",
    "CORS_ALLOWED_ORIGINS": "https://app.example.com",
    # No load balancer needs time to notice that a server of the tests goes.
    "SHUTDOWN_GRACE_S": "0.1",
}


@pytest.fixture(scope="session")
def server(
    server_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """The gateway. It is shared: make rows with unique names."""
    with live_server(tmp_path_factory.mktemp("live"), server_env) as running:
        yield running


@pytest.fixture(scope="module")
def transactional_db(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """In place of pytest-django's: the tables are emptied once a module, not a test.

    So names must be unique. Under xdist too a module's fixtures end before the worker
    goes on to another module, which so finds the tables empty.
    """
    with django_db_blocker.unblock():
        yield
        gateway_thread().close()
        empty_tables()
        connections.close_all()


@pytest.fixture(scope="module")
def settled(transactional_db: None) -> Iterator[None]:
    """Waits at a module's end: the gateway writes refusals about once a second.

    Another module would find them in the tables that are emptied in between.
    """
    yield
    time.sleep(1.2 * trace_rows.EVERY_S)


@pytest.fixture
def world(
    settled: None, server: LiveServer, demo_provider: DemoProcess
) -> Iterator[World]:
    """A customer with a key at the live gateway."""
    made = World(demo_provider, server.port, server.log_path)
    yield made
    made.close()


@pytest.fixture
def indoors(transactional_db: None, demo_provider: DemoProcess) -> Iterator[World]:
    """A customer with a key, for a gateway in the test's own event loop."""
    made = World(demo_provider)
    yield made
    made.close()


@pytest.fixture
async def gateway(
    transactional_db: None,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Runtime]:
    """A gateway's runtime in the test's own event loop, on a machine that may be busy."""
    settings.LLM_ADMIT_TIMEOUT_S = 60.0
    monkeypatch.setattr(tokenizer, "WITHIN_S", 60.0)
    settings.REDIS_PREFIX = unique("inside")
    settings.JOURNAL_DIR = tmp_path / "journal"
    started = await runtime.start()
    yield started
    await started.stop()


@pytest.fixture
async def party(
    indoors: World, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Party]:
    """Two gateways that share the calls of one customer."""
    async with gathering(indoors, settings, tmp_path) as made:
        yield made


@pytest.fixture
def collector(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Collector]:
    """One that gets all traces of the gateway in this process."""
    monkeypatch.setattr("valuecanvas.core.telemetry.span_export.EVERY_S", 0.05)
    with running_collector() as running:
        settings.OTEL_EXPORTER_OTLP_ENDPOINT = running.url
        settings.TRACE_SAMPLE_RATIO = 1.0
        yield running
        traces.close()
