"""A gateway in the test's own event loop, and a provider that echoes and records."""

from collections.abc import AsyncIterator

import pytest

from tests.live.conftest import gateway, indoors, transactional_db
from tests.security.upstream.recorder import Recorder, open_recorder

__all__ = ["gateway", "indoors", "transactional_db"]


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    async with open_recorder() as one:
        yield one


@pytest.fixture
async def canary() -> AsyncIterator[Recorder]:
    """A host that nobody may call."""
    async with open_recorder() as one:
        yield one
        assert one.connections == 0
