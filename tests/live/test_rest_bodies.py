"""Bodies of the management API as clients send them over the wire."""

from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import orjson
import pytest

from tests.live.world import World, unique

pytestmark = pytest.mark.live


def send(world: World, body: Any, *, chunked: bool) -> tuple[int, Any]:
    """POST a prompt; the status and the JSON of the answer."""
    text = world.new_key(scopes=["prompts:read", "prompts:write"])
    headers = {"Authorization": f"Bearer {text}", "Content-Type": "application/json"}
    with closing(HTTPConnection("127.0.0.1", world.port, timeout=30)) as wire:
        wire.request("POST", "/api/prompts", body, headers, encode_chunked=chunked)
        answer = wire.getresponse()
        return answer.status, orjson.loads(answer.read())


def test_body__in_chunks_without_a_length__is_read(world: World) -> None:
    key = unique("chunked")
    pieces = iter([b'{"key": "', key.encode(), b'", "folder": "a/b"}'])
    status, made = send(world, pieces, chunked=True)
    assert (status, made["key"], made["folder"]) == (201, key, "a/b")


@pytest.mark.parametrize("chunked", [True, False])
def test_body__too_large__is_refused(world: World, chunked: bool) -> None:
    raw = orjson.dumps({"key": "a", "description": "x" * 4_000_000})
    status, told = send(world, iter([raw]) if chunked else raw, chunked=chunked)
    assert (status, told["error"]["code"]) == (413, "request_too_large")
