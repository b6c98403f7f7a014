"""A local stand-in for Sentry: takes envelopes over HTTP and keeps them as they came."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Planted in errors. Not in the module that plants them: lines of its source are sent.
CARD, MAIL, KEY = "4111 1111 1111 1111", "ann.canary@example.com", "sk-" + "canary7" * 6
DETAIL = "Detail Canary"
CANARIES = (CARD, MAIL, KEY, DETAIL)


class SentryReceiver:
    """The DSN to send to, and what has come so far."""

    def __init__(self, port: int) -> None:
        self.dsn = f"http://public@127.0.0.1:{port}/7"
        self.bodies: list[bytes] = []

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of all envelopes: the third line of each, after two headers."""
        return [json.loads(body.split(b"\n")[2]) for body in self.bodies]


@contextmanager
def sentry_receiver() -> Iterator[SentryReceiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            kept.bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: Any) -> None:
            """Not on the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept = SentryReceiver(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield kept
        server.shutdown()
        thread.join()
