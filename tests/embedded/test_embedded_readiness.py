"""Waiting for a process of ours."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from valuecanvas.embedded import readiness
from valuecanvas.embedded.readiness import HttpProbe, reachable, wait_ready


class Answer(BaseHTTPRequestHandler):
    """503 until the third check."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        status = 503 if type(self).asked < 3 else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"loading")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(Answer, "asked", 0)
    monkeypatch.setattr(readiness, "POLLS_PER_NOTICE", 1)
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0.01)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def ask(port: int, *, ending: bool = False, gone: bool = False) -> tuple[bool, str]:
    lines: list[str] = []
    event = threading.Event()
    if ending:
        event.set()
    check = HttpProbe("web", "0.0.0.0", port, "/ready")
    ready = wait_ready(check, ending=event, gone=lambda: gone, say=lines.append)
    return ready, "\n".join(lines)


def test_wait_ready__503_then_200__says_what_it_waits_for(port: int) -> None:
    ready, lines = ask(port)
    assert ready
    assert lines.splitlines() == ["Still waiting for web: /ready says 503 loading."] * 2


@pytest.mark.parametrize("why", ["ending", "gone"])
def test_wait_ready__it_ends_first__is_false(port: int, why: str) -> None:
    assert ask(port, **{why: True}) == (False, "")


def test_wait_ready__nobody_listens__goes_on_until_the_end() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ending = threading.Event()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        ending.set()

    check = HttpProbe("web", "127.0.0.1", port, "/ready")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readiness, "POLLS_PER_NOTICE", 1)
        assert not wait_ready(check, ending=ending, gone=lambda: False, say=say)
    assert lines[0].startswith("Still waiting for web: /ready says nothing yet")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_reachable__listening_address__is_one_to_call(host: str, name: str) -> None:
    assert reachable(host) == name
