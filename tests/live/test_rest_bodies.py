"""Bodies of the management API as clients send them over the wire."""

from http.client import HTTPConnection

import orjson
import pytest

from tests.live.world import World, unique

pytestmark = pytest.mark.live


def test_body__in_chunks_without_a_length__is_read(world: World) -> None:
    text = world.new_key(scopes=["prompts:read", "prompts:write"])
    key = unique("chunked")
    connection = HTTPConnection("127.0.0.1", world.port, timeout=30)
    pieces = iter([b'{"key": "', key.encode(), b'", "folder": "a/b"}'])
    headers = {"Authorization": f"Bearer {text}", "Content-Type": "application/json"}
    connection.request("POST", "/api/prompts", pieces, headers, encode_chunked=True)
    answer = connection.getresponse()
    made = orjson.loads(answer.read())
    connection.close()
    assert (answer.status, made["key"], made["folder"]) == (201, key, "a/b")


@pytest.mark.parametrize("chunked", [True, False])
def test_body__without_end__is_refused(world: World, chunked: bool) -> None:
    text = world.new_key(scopes=["prompts:read", "prompts:write"])
    connection = HTTPConnection("127.0.0.1", world.port, timeout=30)
    raw = orjson.dumps({"key": "a", "description": "x" * 4_000_000})
    headers = {"Authorization": f"Bearer {text}", "Content-Type": "application/json"}
    pieces = iter([raw]) if chunked else raw
    connection.request("POST", "/api/prompts", pieces, headers, encode_chunked=chunked)
    answer = connection.getresponse()
    error = orjson.loads(answer.read())["error"]
    connection.close()
    assert (answer.status, error["code"]) == (413, "request_too_large")
