"""Requests that two programs may read in two ways, and framing without an end."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest

from tests.live.world import World

pytestmark = pytest.mark.live
HOT, COLD = "/v1/models", "/api/prompts"
HOST = b"Host: localhost\r\n"
CHUNKED = HOST + b"Transfer-Encoding: chunked\r\n"
LAST = b"0\r\n\r\n"
LONG = b"y" * 200_000

# What stands behind the request line, and is refused with 400.
AMBIGUOUS = {
    "no host": b"\r\n",
    "two hosts": HOST + b"Host: y\r\n\r\n",
    "one host twice": HOST * 2 + b"\r\n",
    "empty host": b"Host: \r\n\r\n",
    "host with a path": b"Host: localhost/y\r\n\r\n",
    "host with a name before it": b"Host: me@localhost\r\n\r\n",
    "two lengths": HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "one length twice": HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "list of lengths": HOST + b"Content-Length: 1, 1\r\n\r\na",
    "length with a sign": HOST + b"Content-Length: +1\r\n\r\na",
    "negative length": HOST + b"Content-Length: -1\r\n\r\na",
    "endless length": HOST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\na",
    "length and chunks": CHUNKED + b"Content-Length: 1\r\n\r\n" + LAST,
    "chunks and length": HOST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    + LAST,
    "two codings": HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + LAST,
    "chunked first": HOST + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + LAST,
    "chunked twice": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n" + LAST,
    "identity": HOST + b"Transfer-Encoding: identity\r\n\r\n",
    "identity, then chunked": HOST
    + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n"
    + LAST,
    "unknown coding": HOST + b"Transfer-Encoding: xchunked\r\n\r\n",
    "folded line": HOST + b"A: b\r\n c\r\n\r\n",
    "space before the colon": HOST + b"A : b\r\n\r\n",
    "bare LF": HOST + b"A: b\nC: d\r\n\r\n",
    "bare CR": HOST + b"A: b\rC: d\r\n\r\n",
    "NUL in a value": HOST + b"A: b\0\r\n\r\n",
    "control character in a value": HOST + b"A: b\x01\r\n\r\n",
    "NUL in a name": HOST + b"A\0: b\r\n\r\n",
    "no name": HOST + b": b\r\n\r\n",
    "no colon": HOST + b"A\r\n\r\n",
    "two keys": HOST + b"Authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
    "chunk of negative size": CHUNKED + b"\r\n-1\r\na\r\n" + LAST,
    "chunk of hexadecimal sign": CHUNKED + b"\r\n0x1\r\na\r\n" + LAST,
    "chunk of endless size": CHUNKED + b"\r\n" + b"f" * 17 + b"\r\n",
    "chunk with bare LF": CHUNKED + b"\r\n1\na\r\n" + LAST,
    "chunk longer than its size": CHUNKED + b"\r\n1\r\nab\r\n" + LAST,
    "folded trailer": CHUNKED + b"\r\n0\r\nA: b\r\n c\r\n\r\n",
}
LINES = {
    "version 0.9": b"GET %s\r\n",
    "version 2": b"GET %s HTTP/2.0\r\n",
    "unknown version": b"GET %s HTTP/1.2\r\n",
    "tunnel": b"CONNECT x:443 HTTP/1.1\r\n",
    "unknown method": b"get %s HTTP/1.1\r\n",
    "no path": b"GET v1 HTTP/1.1\r\n",
    "URL of another host": b"GET http://y%s HTTP/1.1\r\n",
    "URL with a name": b"GET http://me@localhost%s HTTP/1.1\r\n",
    "other scheme": b"GET ftp://localhost%s HTTP/1.1\r\n",
    "NUL in the path": b"GET %s\0 HTTP/1.1\r\n",
    "chunks in version 1.0": b"GET %s HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
}
# What comes before an end that never comes, and is refused with 431.
ENDLESS = {
    "one header": HOST + b"A: " + LONG + b"\r\n\r\n",
    "many headers": HOST + b"A: b\r\n" * 33_000 + b"\r\n",
    "headers, then a bit more": HOST + b"A: " + LONG[:70_000] + b"\r\n\r\n",
    "one trailer": CHUNKED + b"\r\n0\r\nA: " + LONG + b"\r\n\r\n",
    "many trailers": CHUNKED + b"\r\n0\r\n" + b"A: b\r\n" * 33_000 + b"\r\n",
    "trailer without an end": CHUNKED + b"\r\n0\r\nA: " + LONG,
    "chunk's extension": CHUNKED + b"\r\n1;" + LONG,
    "many chunks' extensions": CHUNKED
    + b"\r\n"
    + (b"1;" + b"y" * 99 + b"\r\na\r\n") * 2000,
}


@contextmanager
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as made:
        made.settimeout(30)
        yield made


def exchange(world: World, raw: bytes) -> bytes:
    """All that comes back until the gateway closes, whose limit for a head is 1 s."""
    found = b""
    with connection(world.port) as line:
        line.sendall(raw)
        while part := line.recv(65_536):
            found += part
    return found


def answers(raw: bytes) -> list[int]:
    return [int(one) for one in re.findall(rb"HTTP/1\.1 (\d{3}) ", raw)]


def code(raw: bytes) -> str:
    found: str = orjson.loads(raw.rpartition(b"\r\n\r\n")[2])["error"]["code"]
    return found


@pytest.mark.parametrize("path", [HOT, COLD])
def test_request__read_in_two_ways__is_400_and_the_connection_closed(
    world: World, path: str
) -> None:
    start = b"POST %s HTTP/1.1\r\n" % path.encode()
    for name, rest in AMBIGUOUS.items():
        found = exchange(world, start + rest)
        assert (name, answers(found), code(found)) == (name, [400], "invalid_http")


@pytest.mark.parametrize("path", [HOT, COLD])
def test_request_line__read_in_two_ways__is_400(world: World, path: str) -> None:
    for name, line in LINES.items():
        line = line.replace(b"%s", path.encode())
        found = exchange(world, line + HOST + b"\r\n")
        assert (name, answers(found), code(found)) == (name, [400], "invalid_http")


@pytest.mark.parametrize("path", [HOT, COLD])
def test_framing__without_an_end__is_431(world: World, path: str) -> None:
    start = b"POST %s HTTP/1.1\r\n" % path.encode()
    for name, rest in ENDLESS.items():
        found = exchange(world, start + rest)
        assert (name, answers(found)) == (name, [431])
    found = exchange(world, b"GET %s?%s HTTP/1.1\r\n" % (path.encode(), LONG))
    assert answers(found) == [431]


def test_head__just_below_the_limit__is_read(world: World) -> None:
    found = exchange(
        world,
        b"GET /health/live HTTP/1.1\r\nConnection: close\r\n"
        + HOST
        + b"A: "
        + LONG[:65_000]
        + b"\r\n\r\n",
    )
    assert answers(found) == [200]


@pytest.mark.parametrize("path", [HOT, COLD])
def test_trailers__that_look_like_headers__are_dropped(world: World, path: str) -> None:
    key = world.new_key(scopes=["prompts:read", "prompts:write"])
    trailer = b"0\r\nAuthorization: Bearer %s\r\n\r\n" % key.encode()
    head = b"GET %s HTTP/1.1\r\n" % path.encode()
    body = b"Connection: close\r\n\r\n2\r\n{}\r\n"
    found = exchange(world, head + CHUNKED + body + trailer)
    assert answers(found) == [401]


def test_chunks__with_small_extensions_and_of_one_byte__are_read(world: World) -> None:
    served = world.serve("ok")
    text = b'{"model":"%s","messages":[{"role":"user","content":"%s"}]}' % (
        served.model.encode(),
        b"a" * 20_000,
    )
    chunks = b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in text)
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nAuthorization: Bearer %s\r\n" % world.key.encode()
    )
    assert answers(exchange(world, head + CHUNKED + b"\r\n" + chunks + LAST)) == [200]


@pytest.mark.parametrize("offer", ["h2c", "websocket", "TLS/1.0"])
def test_upgrade__offered_with_a_body__is_passed_over_and_the_body_read(
    world: World, offer: str
) -> None:
    served = world.serve("ok")
    # Taken for the next request, it would be one that no proxy has seen.
    text = b'{"model":"%s","messages":[{"role":"user","content":"a"}]}' % (
        served.model.encode()
    )
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
        b"Connection: Upgrade, close\r\nUpgrade: %s\r\nContent-Length: %d\r\n"
        b"Authorization: Bearer %s\r\n"
        % (offer.encode(), len(text), world.key.encode())
    )
    with connection(world.port) as line:
        line.sendall(head + HOST + b"\r\n")
        line.sendall(text)
        found = b""
        while part := line.recv(65_536):
            found += part
    assert answers(found) == [200]


def test_absolute_url__of_the_same_host__is_served(world: World) -> None:
    line = b"GET http://LocalHost/health/live HTTP/1.1\r\nConnection: close\r\n"
    assert answers(exchange(world, line + HOST + b"\r\n")) == [200]


def test_version_1_0__without_a_host__is_served(world: World) -> None:
    assert answers(exchange(world, b"GET /health/live HTTP/1.0\r\n\r\n")) == [200]


def test_rubbish__behind_a_request__is_refused_after_that_ones_answer(
    world: World,
) -> None:
    whole = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"
    assert answers(exchange(world, whole * 3 + b"\0\r\n\r\n")) == [200, 200, 200, 400]
    broken = b"POST /v1/feedback HTTP/1.1\r\n" + CHUNKED + b"\r\n" + b"x\r\n"
    assert answers(exchange(world, whole * 2 + broken)) == [200, 200, 400]


def test_requests__sent_ahead_without_end__are_not_kept(world: World) -> None:
    whole = b"GET /health/live HTTP/1.1\r\n" + HOST + b"\r\n"
    found = answers(exchange(world, whole * 1000))
    assert found == [200] * (len(found) - 1) + [400]
    assert len(found) < 100


def test_names__with_underscores__are_not_those_with_dashes(world: World) -> None:
    sent = HOST + b"Connection: close\r\nx_api_key: %s\r\n\r\n" % world.key.encode()
    assert answers(exchange(world, b"GET /v1/models HTTP/1.1\r\n" + sent)) == [401]
