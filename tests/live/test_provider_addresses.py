"""The gateway where private addresses are refused, though a row names one."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from llm.providers.address_guard import GUARD
from llm.runtime import Runtime
from tests.live.inside import ask
from tests.live.world import World, request_id

pytestmark = pytest.mark.live


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody at a private address, who hears of every connection."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("https://127.0.0.1:{port}/v1", GUARD.private),
        # A name that was saved while it stood for a public address.
        ("https://localhost:{port}/v1", GUARD.private),
        ("http://127.0.0.1:{port}/v1", GUARD.plain),
    ],
)
async def test_relay__private_address__is_not_connected_to(
    indoors: World,
    gateway: Runtime,
    settings: Settings,
    listener: socket.socket,
    base_url: str,
    message: str,
) -> None:
    settings.LLM_ALLOW_HTTP_PROVIDERS = False
    port = listener.getsockname()[1]
    model = indoors.serve_at((base_url.format(port=port), "m")).model
    answer = await ask(indoors, gateway, model)
    assert answer.status >= 500
    failed = await asyncio.to_thread(indoors.attempts, request_id(answer), 1)
    assert {one.error for one in failed} == {message}
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert indoors.counter() == (0, 0, 0)
