"""Handshakes of WebSockets: refused in words on every path, without a traceback."""

from collections.abc import MutableMapping
from typing import Any

import pytest

from tests.live.test_request_framing import answers, exchange
from tests.live.world import World
from valuecanvas.asgi import Application

pytestmark = pytest.mark.live
PATHS = [
    "/v1/chat/completions",
    "/v1/models",
    "/v1/realtime?model=x",
    "/health/live",
    "/admin/",
    "/api/prompts",
    "/metrics",
    "/nothing",
]
OFFERS = [b"websocket", b"WebSocket", b"h2c, websocket"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("offer", OFFERS)
def test_handshake__on_any_path__is_refused_without_a_traceback(
    world: World, path: str, offer: bytes
) -> None:
    before = world.log_path.read_text().count("Traceback")
    head = (
        b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        b"Upgrade: %s\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % (path.encode(), offer)
    )
    [status] = answers(exchange(world, head))
    assert 400 <= status < 500
    assert world.log_path.read_text().count("Traceback") == before


@pytest.mark.parametrize("path", PATHS)
async def test_handshake__handed_on_by_another_server__is_closed(path: str) -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": path.partition("?")[0], "headers": []}
    await Application()(scope, receive, send)
    assert [one["type"] for one in sent] == ["websocket.close"]
