"""The demo and the fault provider as fixtures: a process, servers in the loop."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.demo_process import Attempt, DemoProcess, demo_process, read_attempts
from tests.fault_provider.server import FaultProvider
from valuecanvas.embedded.demo_provider.server import DemoProvider


@pytest.fixture(scope="session")
def demo_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """A fault provider with control and a send log.

    It is shared: choose behaviours by model name, and override only models of your
    own naming, by `with demo_provider.behaving(model, behaviour)`.
    """
    with demo_process(send_log=tmp_path_factory.mktemp("send_log")) as demo:
        yield demo


@dataclass
class DemoServer:
    """A provider in the test's own event loop, with a client for it."""

    url: str
    send_log: Path
    client: aiohttp.ClientSession

    def chat(self, model: str, text: str = "hi", **fields: Any) -> Any:
        """The request context of a chat with one user message."""
        messages = [{"role": "user", "content": text}]
        return self.post("chat/completions", model=model, messages=messages, **fields)

    def post(self, path: str, **body: Any) -> Any:
        """The request context of a POST of `body`."""
        return self.client.post(f"{self.url}/v1/{path}", json=body)

    async def answer(self, model: str, text: str = "hi", **fields: Any) -> Any:
        """The JSON of a chat that is not streamed."""
        async with self.chat(model, text, **fields) as response:
            assert response.status == 200
            return await response.json()

    async def events(self, model: str, text: str = "hi", **fields: Any) -> list[Any]:
        """The events of a streamed chat; `[DONE]` stays text."""
        async with self.chat(model, text, stream=True, **fields) as response:
            assert response.content_type == "text/event-stream"
            return events_in(await response.text())

    @property
    def attempts(self) -> list[Attempt]:
        """What the send log has."""
        return read_attempts(self.send_log)


def events_in(text: str) -> list[Any]:
    """The data of the server-sent events in `text`."""
    lines = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def content_of(events: list[Any]) -> list[str]:
    """The pieces of content in chat chunks."""
    choices = [c for event in events if event != "[DONE]" for c in event["choices"]]
    return [c["delta"]["content"] for c in choices if c["delta"].get("content")]


async def start(provider: DemoProvider) -> tuple[web.AppRunner, int]:
    """Starts a provider in the running loop, as `serve` does; and returns its port.

    Stop it by `await runner.cleanup()`.
    """
    runner = web.AppRunner(
        provider.application(),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=1.0,
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    return runner, runner.addresses[0][1]


@asynccontextmanager
async def serving(provider: DemoProvider, send_log: Path) -> AsyncIterator[DemoServer]:
    """A provider in this loop while the block runs."""
    runner, port = await start(provider)
    async with aiohttp.ClientSession() as client:
        yield DemoServer(f"http://127.0.0.1:{port}", send_log, client)
    await runner.cleanup()


@pytest.fixture(params=["demo", "fault"])
async def demo_server(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[DemoServer]:
    """The product's demo provider; then the one with faults, which answers alike."""
    providers = {"demo": DemoProvider, "fault": FaultProvider}
    async with serving(providers[request.param](), tmp_path) as server:
        yield server


@pytest.fixture
async def fault_server(tmp_path: Path) -> AsyncIterator[DemoServer]:
    """A fault provider in this loop, with control and a send log."""
    folder = tmp_path / "send_log"
    async with serving(FaultProvider(folder, control=True), folder) as server:
        yield server
