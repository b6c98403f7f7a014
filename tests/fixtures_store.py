"""Stores on the run's Valkey under a prefix of the test's own, or on a Valkey of its own."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings

from valuecanvas.core.storage.store import Store
from valuecanvas.embedded import valkey
from valuecanvas.embedded.processes import Engine


@pytest.fixture
def prefix() -> str:
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
async def store(prefix: str) -> AsyncIterator[Store]:
    """A patient one: the machine may be busy."""
    one = Store(settings.REDIS_URL, timeout_s=5, prefix=prefix)
    yield one
    await one.close()


@pytest.fixture
def server() -> Iterator["redis.Redis"]:
    """The run's Valkey, asked directly."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        yield client


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Engine]:
    """A server that the test may stop, kill and empty."""
    engine = valkey.start(tmp_path / "valkey", durable=False)
    yield engine
    if engine.process and engine.process.poll() is None:
        valkey.stop(engine)
    if engine.process:
        engine.process.wait()
