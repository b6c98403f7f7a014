"""Reading flags and prompts in a process that has not reached the database yet."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from llm import runtime
from llm.configuration.last_known import LastKnown
from llm.configuration.snapshot import Snapshot
from llm.runtime import Runtime
from llm.types import Call
from tests.fixtures_billing import make_api_key
from tests.flags.rows import make_flag
from valuecanvas.core.errors import Unavailable
from valuecanvas.core.ids import uuid7
from valuecanvas.embedded.processes import free_port

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(autouse=True)
def own_folders(
    settings: Any, tmp_path: Path, prefix: str, transactional_db: None
) -> None:
    settings.REDIS_PREFIX = prefix
    settings.VAR_DIR = tmp_path
    settings.JOURNAL_DIR = tmp_path / "journal"


@asynccontextmanager
async def started() -> AsyncIterator[Runtime]:
    gateway = await runtime.start()
    yield gateway
    await gateway.stop()


def call(key: str, endpoint: str = "flags", **body: Any) -> Call:
    return Call(uuid7(), endpoint, body, authorization=f"Bearer {key}")


async def saved() -> str:
    """The text of a key that the disk knows, beside a flag."""
    async with started() as warm:
        await warm.db.run(make_flag, "a-flag")
        _, key = await warm.db.run(
            lambda: make_api_key(scopes=["llm", "flags:evaluate"])
        )
        found, _ = await warm.free_reads.open(call(key))
        assert isinstance(found, Snapshot)
        await warm.disk_writer.save()
    return key


async def test_open__database_away_since_the_start__is_the_last_known_until_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = await saved()
    with monkeypatch.context() as away:
        away.setitem(connections.databases["default"], "PORT", free_port())
        cold = await runtime.start()
        for healthy in (True, False):
            assert cold.ledger.healthy is healthy
            found, who = await cold.free_reads.open(call(key))
            assert isinstance(found, LastKnown)
            assert "a-flag" in found.flags.flags
            assert who.key in key
        with pytest.raises(Unavailable) as caught:
            await cold.pipeline.run(call(key, "chat", **CHAT))
        assert caught.value.code == "ledger_unavailable"
        assert not cold.config.loaded
    await cold.db.run(connections.close_all)
    await cold.db.run(connections.__delitem__, "default")
    async with asyncio.timeout(60):
        while isinstance((await cold.free_reads.open(call(key)))[0], LastKnown):
            await asyncio.sleep(0.01)
    assert cold.config.loaded
    assert cold.ledger.healthy
    await cold.stop()


async def test_open__nothing_on_disk__is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as away:
        away.setitem(connections.databases["default"], "PORT", free_port())
        async with started() as cold:
            with pytest.raises(Unavailable):
                await cold.free_reads.open(call("any"))
