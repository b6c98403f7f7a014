"""A receiver of webhooks on the loopback, which answers as it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from openai import OpenAI

CHUNK = bytes(1024 * 1024)


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_by(self, secret: str) -> bool:
        """As OpenAI's SDK verifies its webhooks: by the same specification."""
        client = OpenAI(api_key="none")
        try:
            client.webhooks.verify_signature(self.body, self.headers, secret=secret)
        except ValueError:
            return False
        return True


@dataclass
class Receiver:
    """What it received, and how it answers: a status, a number of MB, or never."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    # The body of an answer, unless it is megabytes long.
    answer: bytes = b""
    megabytes: int = 0
    written: int = 0
    # Each request waits for it before it is answered.
    release: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.release.set()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver, until the block ends."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, sent, body))
            receiver.release.wait()
            # The sender may have left.
            with suppress(ConnectionError):
                self._answer()

        def _answer(self) -> None:
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            length = receiver.megabytes * len(CHUNK) + len(receiver.answer)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(receiver.answer)
            for _ in range(receiver.megabytes):
                self.wfile.write(CHUNK)
                receiver.written += len(CHUNK)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield receiver
    finally:
        receiver.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
