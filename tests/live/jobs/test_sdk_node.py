"""The official Node SDK's files and batches; `make clients` installs and runs it."""

import asyncio
import datetime as dt
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm.jobs import batches
from llm.runtime import Runtime
from tests.live.jobs.conftest import working
from tests.live.jobs.uploading import jsonl, line
from tests.live.world import PATIENCE_S, World

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
INSTALLED = shutil.which("node") and (CLIENTS / "node_modules" / "openai").exists()
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not INSTALLED, reason="Run `make clients`: it needs node and npm."
    ),
]


async def expand_always(world: World) -> None:
    """As the workers' sweep does."""
    while True:
        await asyncio.to_thread(world.db, batches.sweep)
        await asyncio.sleep(0.2)


async def run_script(name: str, **env: str) -> Any:
    """What a script of tests/clients printed."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(CLIENTS / name),
        env={**os.environ, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE_S):
        out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return orjson.loads(out)


async def test_node_sdk__file_batch_poll_download__as_with_openai(
    world: World, gateway: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "STUCK", dt.timedelta())
    served = world.serve("ok")
    path = tmp_path / "night.jsonl"
    path.write_bytes(jsonl(*(line(f"line {n}", served.model) for n in range(3))))
    sweeping = asyncio.create_task(expand_always(world))
    async with working(gateway):
        seen = await run_script(
            "batch.mjs",
            BASE_URL=f"{world.url}/v1",
            API_KEY=world.key,
            FOREIGN_KEY=world.new_customer()[1],
            INPUT=str(path),
        )
    sweeping.cancel()
    with suppress(asyncio.CancelledError):
        await sweeping
    assert seen["file"]["filename"] == "night.jsonl"
    assert seen["file"]["expires_at"] - seen["file"]["created_at"] == 86_400
    assert seen["batch"]["status"] == "completed"
    assert seen["batch"]["metadata"] == {"from": "node"}
    assert seen["batch"]["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    answers = [orjson.loads(one) for one in seen["output"].splitlines()]
    assert [one["custom_id"] for one in answers] == ["line 0", "line 1", "line 2"]
    assert seen["files"] == [seen["file"]["id"]]
    assert seen["batches"] == [seen["batch"]["id"]]
    assert seen["foreign"] == [404] * 5
    assert seen["ended"] == 409
    assert seen["deleted"] == {
        "id": seen["file"]["id"],
        "object": "file",
        "deleted": True,
    }
