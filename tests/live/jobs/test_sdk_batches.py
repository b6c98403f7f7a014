"""The official Python SDK's files and batches against a live gateway, and a worker."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import openai
import orjson
import psutil
import pytest
from django.conf import settings

from llm.jobs import expansion
from llm.runtime import Runtime
from tests.live.jobs.conftest import working
from tests.live.jobs.uploading import CHAT, jsonl, line
from tests.live.server import LiveServer
from tests.live.world import PATIENCE_S, World

pytestmark = pytest.mark.live

OPEN = ("validating", "in_progress", "cancelling")


def lines_in(content: Any) -> list[Any]:
    return [orjson.loads(one) for one in content.text.splitlines()]


async def run_batch(
    world: World, gateway: Runtime, batch_id: str, client: openai.AsyncOpenAI
) -> openai.types.Batch:
    """Have a worker run the batch, and poll until it has ended."""
    pk = batch_id.removeprefix("batch_")
    await asyncio.to_thread(world.db, expansion.expand_by_id, pk)
    async with working(gateway), asyncio.timeout(PATIENCE_S):
        while True:
            batch = await client.batches.retrieve(batch_id)
            if batch.status not in OPEN:
                return batch
            await asyncio.sleep(0.2)


async def test_sdk__file_batch_poll_download__as_with_openai(
    world: World, gateway: Runtime, tmp_path: Path
) -> None:
    served = world.serve("ok")
    lines = [line(f"line {n}", served.model) for n in range(5)]
    lines.insert(2, line("wrong", "no-such-model"))
    path = tmp_path / "night.jsonl"
    path.write_bytes(jsonl(*lines))
    async with world.async_sdk() as client:
        file = await client.files.create(file=path, purpose="batch")
        assert (file.filename, file.bytes) == ("night.jsonl", path.stat().st_size)
        batch = await client.batches.create(
            input_file_id=file.id,
            endpoint=CHAT,
            completion_window="24h",
            metadata={"night": "1"},
        )
        assert (batch.status, batch.input_file_id) == ("validating", file.id)
        batch = await run_batch(world, gateway, batch.id, client)
        assert batch.status == "completed"
        assert batch.metadata == {"night": "1"}
        counts = batch.request_counts
        assert counts is not None
        assert (counts.total, counts.completed, counts.failed) == (6, 5, 1)
        assert batch.output_file_id
        assert batch.error_file_id
        answers = lines_in(await client.files.content(batch.output_file_id))
        assert [one["custom_id"] for one in answers] == [f"line {n}" for n in range(5)]
        for one in answers:
            assert one["response"]["status_code"] == 200
            completion = openai.types.chat.ChatCompletion(**one["response"]["body"])
            assert completion.choices[0].message.content
            assert world.usage(one["response"]["request_id"]).status == "ok"
        [error] = lines_in(await client.files.content(batch.error_file_id))
        assert error["custom_id"] == "wrong"
        assert error["error"]["code"] == "model_not_found"
        output = await client.files.retrieve(batch.output_file_id)
        assert output.purpose == "batch_output"


@pytest.mark.parametrize("endpoint", ["/v1/embeddings", "/v1/responses"])
async def test_sdk__batch_of_another_endpoint__is_answered_in_its_form(
    world: World, gateway: Runtime, endpoint: Any
) -> None:
    kind = {"kind": "embedding"} if endpoint == "/v1/embeddings" else {}
    served = world.serve("ok", **kind)
    body = {"model": served.model, "input": "Say hello."}
    one = {"custom_id": "a", "method": "POST", "url": endpoint, "body": body}
    async with world.async_sdk() as client:
        file = await client.files.create(file=("in", jsonl(one)), purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint=endpoint, completion_window="24h"
        )
        batch = await run_batch(world, gateway, batch.id, client)
        assert batch.output_file_id
        [found] = lines_in(await client.files.content(batch.output_file_id))
    shapes: dict[str, Any] = {
        "/v1/embeddings": openai.types.CreateEmbeddingResponse,
        "/v1/responses": openai.types.responses.Response,
    }
    shapes[endpoint].model_validate(found["response"]["body"])


def test_sdk__batch_with_a_bad_line__fails_with_its_number(world: World) -> None:
    with world.sdk() as client:
        content = jsonl(line("a", "m"), line("a", "m"))
        file = client.files.create(file=("in", content), purpose="batch")
        made = client.batches.create(
            input_file_id=file.id, endpoint=CHAT, completion_window="24h"
        )
        world.db(expansion.expand_by_id, made.id.removeprefix("batch_"))
        batch = client.batches.retrieve(made.id)
    assert (batch.status, batch.output_file_id) == ("failed", None)
    assert batch.failed_at is not None
    assert batch.errors is not None
    [error] = batch.errors.data or []
    assert (error.line, error.code) == (2, "duplicate_custom_id")


def test_sdk__lists_and_deletes__page_by_page(world: World) -> None:
    with world.sdk() as client:
        made = [
            client.files.create(file=(f"{n}", b"x"), purpose="batch").id
            for n in range(5)
        ]
        assert [one.id for one in client.files.list(limit=2)] == made[::-1]
        batch_ids = [
            client.batches.create(
                input_file_id=one, endpoint=CHAT, completion_window="24h"
            ).id
            for one in made
        ]
        assert [one.id for one in client.batches.list(limit=2)] == batch_ids[::-1]
        assert client.batches.cancel(batch_ids[0]).status == "cancelled"
        assert client.files.delete(made[0]).deleted
        with pytest.raises(openai.ConflictError):
            client.files.delete(made[1])
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(made[0])


def test_sdk__with_a_foreign_key__sees_none_of_it(world: World) -> None:
    foreign = world.new_customer()[1]
    with world.sdk() as client, world.sdk(foreign) as other:
        file = client.files.create(file=("in", b"x"), purpose="batch")
        assert list(other.files.list()) == []
        for call in (other.files.retrieve, other.files.content, other.files.delete):
            with pytest.raises(openai.NotFoundError):
                call(file.id)
        assert client.files.content(file.id).content == b"x"


def test_upload__of_a_hundred_megabytes__takes_no_memory(
    world: World, server: LiveServer, tmp_path: Path
) -> None:
    path = tmp_path / "large.jsonl"
    with path.open("wb") as file:
        for n in range(48):
            file.write(b"%02d" % n + b"x" * 2_080_000 + b"\n")
    size = path.stat().st_size
    assert size > 0.95 * settings.FILES_MAX_BYTES
    root = psutil.Process(server.process.pid)
    processes = [root, *root.children(recursive=True)]

    def memory() -> int:
        return sum(one.memory_info().rss for one in processes)

    before = peak = memory()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with world.sdk(timeout=300) as client:
            made = client.files.create(file=path, purpose="batch")
            assert made.bytes == size
            stream = client.files.with_streaming_response.content(made.id)
            with stream as content, path.open("rb") as original:
                for part in content.iter_bytes(1_048_576):
                    assert part == original.read(len(part))
            client.files.delete(made.id)
    finally:
        done.set()
        watcher.join()
    assert peak - before < 60_000_000
