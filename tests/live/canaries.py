"""Personal data and secrets to plant, and where they are looked for afterwards."""

import json
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import orjson
import zstandard
from django.db import connection

from tests.core.telemetry.redaction.samples import SAMPLES
from tests.live.shared import valkey

# Each kind once at least. Short ones could be in a log by chance.
CANARIES = [text for texts in SAMPLES.values() for text in texts] + [
    "postgres://canary:hunter2-canary@db.example:5432/x",
    "password=canary-of-a-password",
]
PLANTED = " | ".join(CANARIES)
# For fields of secrets: fit for a provider and for a receiver of webhooks.
SECRET = "whsec_Y2FuYXJ5LW9mLWEtc2VjcmV0LW9mLW91cnM="
# Headers take one line.
LINE = PLANTED.replace("\n", " ").encode("ascii", "replace").decode()
# What is searched: of a key in PEM its middle, of a URL its password.
_SOUGHT = [
    *(text for text in CANARIES if "PRIVATE KEY" not in text and "://" not in text),
    "MIIEow+/AA==",
    "hunter2-canary",
    "canary-of-a-password",
    SECRET,
]
NEEDLES = {
    form.encode()
    for text in _SOUGHT
    for form in (text, quote(text), json.dumps(text)[1:-1])
    if text != "password=canary-of-a-password"
}


def found_in(text: bytes) -> set[bytes]:
    """The canaries in a text."""
    return {needle for needle in NEEDLES if needle in text}


def in_database(meant: Mapping[str, str]) -> dict[str, set[bytes]]:
    """The canaries in each column 'table.column' that is not `meant` to hold text.

    A SECRET is meant to be in none of them.
    """
    hits: dict[str, set[bytes]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND NOT relispartition "
            "AND relnamespace = 'public'::regnamespace UNION ALL "
            "SELECT relname FROM pg_class WHERE relkind = 'p'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT to_jsonb(t) FROM "{table}" t')  # noqa: S608 - names from the catalogue
            for (row,) in cursor:
                for column, value in json.loads(row).items():
                    where, one = f"{table}.{column}", found_in(_bytes(value))
                    if where in meant:
                        one &= {SECRET.encode()}
                    if one:
                        hits[where] = hits.get(where, set()) | one
    return hits


def _bytes(value: Any) -> bytes:
    """A column's value; binary ones are shown as hexadecimal digits."""
    if isinstance(value, str) and value.startswith("\\x"):
        return bytes.fromhex(value[2:])
    return value.encode() if isinstance(value, str) else orjson.dumps(value)


def in_redis(prefix: str) -> dict[str, set[bytes]]:
    """The canaries in each key, its name and its value, compressed or not."""
    hits = {}
    for key, value in redis_items(prefix):
        if one := found_in(key + b" " + repr(value).encode() + _unpacked(value)):
            hits[key.decode("utf-8", "replace")] = one
    return hits


def redis_items(prefix: str) -> Iterator[tuple[bytes, Any]]:
    """Each key that begins with the prefix, and all that it holds."""
    with valkey() as client:
        for key in client.scan_iter(f"{prefix}*"):
            yield key, _read(client, key)


def _unpacked(value: Any) -> bytes:
    """A value that is a zstd frame, unpacked."""
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(value)
    except (zstandard.ZstdError, TypeError):
        return b""


def _read(client: Any, key: bytes) -> Any:
    """All that a key holds."""
    read = {
        b"string": lambda: client.get(key),
        b"hash": lambda: client.hgetall(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"set": lambda: client.smembers(key),
        b"zset": lambda: client.zrange(key, 0, -1, withscores=True),
        b"stream": lambda: client.xrange(key),
    }
    return read.get(client.type(key), lambda: None)()


@dataclass
class Collected:
    """What a receiver was sent."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)


@contextmanager
def receiver() -> Iterator[Collected]:
    """Takes whatever is posted: envelopes of Sentry, spans of OTLP."""
    kept = Collected()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") in ("gzip", "deflate"):
                body = zlib.decompress(body, 47)
            kept.bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Not on the tests' output."""

    with _serving(Handler) as port:
        kept.url = f"127.0.0.1:{port}"
        yield kept


def _event(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _chunk(**delta: Any) -> bytes:
    return _event({"id": PLANTED, "choices": [{"index": 0, "delta": delta}]})


CHUNKS = _chunk(role="assistant") + _chunk(content=PLANTED)
ERROR = {
    "error": {"message": PLANTED, "type": PLANTED, "code": PLANTED, "param": PLANTED}
}
# Upstream model -> (status, content type, body) of a provider's answer full of canaries.
ANSWERS: dict[str, tuple[int, str, bytes]] = {
    "error-400": (400, "application/json", orjson.dumps(ERROR)),
    "error-401": (401, "application/json", orjson.dumps(ERROR)),
    "error-429": (429, "application/json", orjson.dumps(ERROR)),
    "error-500": (500, "application/json", orjson.dumps(ERROR)),
    "page": (502, "text/html", f"<h1>{PLANTED}</h1>".encode()),
    "no-json": (200, "application/json", PLANTED.encode()),
    "no-answer": (200, "application/json", orjson.dumps({"choices": PLANTED, "usage": PLANTED})),
    "redirect": (302, "text/plain", PLANTED.encode()),
    "stream": (200, "text/event-stream", CHUNKS + _chunk() + b"data: [DONE]\n\n"),
    "error-event": (200, "text/event-stream", CHUNKS + _event(ERROR)),
    "broken-event": (200, "text/event-stream", CHUNKS + b"data: {" + PLANTED.encode() + b"\n\n"),
    "cut": (200, "text/event-stream", CHUNKS),
}  # fmt: skip


@contextmanager
def canary_provider() -> Iterator[str]:
    """The base URL of a provider that answers as ANSWERS say; streams byte by byte."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, kind, body = ANSWERS[asked["model"]]
            self.send_response(status, "No")
            for name, value in (
                ("Content-Type", kind),
                ("Connection", "close"),
                ("Location", f"/{quote(LINE)}"),
                ("x-request-id", LINE),
                ("retry-after", LINE),
            ):
                self.send_header(name, value)
            self.end_headers()
            if "event" in kind:
                for at in range(len(body)):
                    self.wfile.write(body[at : at + 1])
                    self.wfile.flush()
            else:
                self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Not on the tests' output."""

    with _serving(Handler) as port:
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()
