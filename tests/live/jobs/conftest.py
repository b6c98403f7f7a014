"""A customer's view of the jobs' API, and a worker in the test's own event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from llm.jobs.worker.worker_loop import Worker
from llm.models import Job
from llm.runtime import Runtime
from tests.live.inside import Exchange
from tests.live.jobs.uploading import FilesApi
from tests.live.world import PATIENCE_S, Answer, World

JOBS = "/api/llm/jobs"
ENDED = {"succeeded", "failed", "dead", "cancelled"}


@dataclass
class JobsApi:
    """Calls of one customer about its jobs."""

    world: World
    gateway: Runtime

    async def call(
        self, path: str = "", method: str = "GET", *, key: str = "", **body: Any
    ) -> Answer:
        sent = orjson.dumps(body) if body else b""
        path, _, asked = f"{JOBS}{path}".partition("?")
        exchange = Exchange(
            self.gateway, path, sent, method=method, key=key or self.world.key
        )
        exchange.scope["query_string"] = asked.encode()
        return await exchange.run()

    async def submit(self, model: str = "", **options: Any) -> str:
        """Submit a completion; its id."""
        if model:
            messages = [{"role": "user", "content": "Say hello"}]
            options["body"] = {"model": model, "messages": messages}
        options.setdefault("type", "completion")
        answer = await self.call(method="POST", **options)
        assert answer.status == 202, answer.body
        return str(answer.json["id"])

    async def show(self, job_id: str) -> dict[str, Any]:
        answer = await self.call(f"/{job_id}")
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    async def wait(
        self, job_id: str, reached: Callable[[dict[str, Any]], bool] | None = None
    ) -> dict[str, Any]:
        """The job once it has ended, or fulfils `reached`."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                job = await self.show(job_id)
                if reached(job) if reached else job["state"] in ENDED:
                    return job
                await asyncio.sleep(0.02)

    def row(self, job_id: str) -> Job:
        return self.world.db(Job.objects.get, pk=job_id)


@pytest.fixture
def api(indoors: World, gateway: Runtime) -> JobsApi:
    # What another test left under way would take this one's slots.
    indoors.db(Job.objects.exclude(state__in=ENDED).delete)
    return JobsApi(indoors, gateway)


@pytest.fixture
def files_api(indoors: World, gateway: Runtime) -> FilesApi:
    return FilesApi(indoors, gateway)


@asynccontextmanager
async def working(gateway: Runtime, slots: int = 10) -> AsyncIterator[Worker]:
    """A worker that runs in the test's event loop."""
    worker = Worker(gateway, slots)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop(0.1)
        await task
