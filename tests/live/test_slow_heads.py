"""Requests whose head comes slowly, in endless length, or never."""

import socket
from collections.abc import Iterator

import orjson
import pytest

from tests.live.world import World

pytestmark = pytest.mark.live
HALF = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
WHOLE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def line(world: World) -> Iterator[socket.socket]:
    """A connection to the gateway, whose limit for a head is 1 s."""
    with socket.create_connection(("127.0.0.1", world.port)) as made:
        made.settimeout(60)
        yield made


def rest(line: socket.socket) -> bytes:
    """All that comes until the gateway closes. Raises TimeoutError if it does not."""
    parts = []
    try:
        while part := line.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def refusal(raw: bytes) -> tuple[int, str]:
    head, _, body = raw.rpartition(b"\r\n\r\n")
    last = head.rpartition(b"HTTP/1.1 ")[2]
    return int(last[:3]), orjson.loads(body)["error"]["code"]


def answered(line: socket.socket) -> bytes:
    """The answer to a health check, as far as its body has come."""
    found = b""
    while not found.endswith(b"}"):
        found += line.recv(65_536)
    return found


def test_head__half_of_it__is_408_and_the_connection_closed(
    line: socket.socket,
) -> None:
    line.sendall(HALF)
    assert refusal(rest(line)) == (408, "request_timeout")


def test_head__nothing_at_all__is_closed_without_an_answer(line: socket.socket) -> None:
    assert rest(line) == b""


@pytest.mark.parametrize("more", [HALF, b"\r\n"])
def test_head__second_of_a_connection__has_the_same_limit(
    line: socket.socket, more: bytes
) -> None:
    line.sendall(WHOLE + b"\r\n")
    assert answered(line).startswith(b"HTTP/1.1 200")
    line.sendall(more)
    assert refusal(rest(line))[0] == 408


def test_head__begun_behind_a_whole_one__lets_that_be_answered(
    line: socket.socket,
) -> None:
    line.sendall(WHOLE + b"\r\n" + HALF)
    found = rest(line)
    assert found.startswith(b"HTTP/1.1 200")
    assert refusal(found)[0] == 408


def test_head__in_time_but_in_pieces__is_answered(line: socket.socket) -> None:
    for piece in (WHOLE[:10], WHOLE[10:], b"Connection: close\r\n", b"\r\n"):
        line.sendall(piece)
    assert rest(line).startswith(b"HTTP/1.1 200")


def test_head__without_an_end__is_431(line: socket.socket) -> None:
    try:
        for _ in range(200):
            line.sendall(b"x-more: %s\r\n" % (b"y" * 1000) if _ else HALF)
    except (BrokenPipeError, ConnectionResetError):
        # It was refused before all was sent, and its answer may be lost with that.
        return
    assert refusal(rest(line)) == (431, "headers_too_large")


def test_body__slow_but_in_time__is_no_matter_of_the_head(
    world: World, line: socket.socket
) -> None:
    line.sendall(HALF + b"Content-Length: 4\r\nContent-Type: application/json\r\n\r\n")
    assert refusal(rest(line)) == (400, "request_timeout")
