"""A fast HTTP/1.1 client, so that the load generator needs little CPU."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import cast

import httptools

from bench.answers import Answer

# The first piece of content in a stream: a delta whose content is not empty.
_CONTENT = re.compile(rb'"content":\s?"[^"]')


@dataclass(frozen=True)
class Timed:
    """An answer and the monotonic time of its first content."""

    answer: Answer
    first_at: float


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request on it at a time."""

    def __init__(self) -> None:
        self.usable = True
        self.idle_since = time.perf_counter()
        self.lost = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[Timed] | None = None
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._first_at = 0.0

    async def exchange(self, request: bytes, timeout_s: float) -> Timed:
        """Send `request` and return its answer. Raises ConnectionError, TimeoutError."""
        if self._transport is None or not self.usable:
            raise ConnectionError("the connection is closed")
        self._reset()
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await asyncio.wait_for(self._done, timeout_s)
        except TimeoutError:
            self.close()
            raise
        finally:
            self._done = None
            self.idle_since = time.perf_counter()

    def close(self) -> None:
        self.usable = False
        if self._transport:
            self._transport.close()

    # asyncio calls these
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        self.lost.set()
        if self._done and not self._done.done():
            self._done.set_exception(ConnectionError(f"closed mid-answer: {exc}"))

    # httptools calls these
    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        if not self._first_at and _CONTENT.search(data):
            self._first_at = time.perf_counter()
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        self.usable = self.usable and self._parser.should_keep_alive()
        if self._done and not self._done.done():
            status = self._parser.get_status_code()
            answer = Answer(status, self._headers, b"".join(self._pieces))
            self._done.set_result(Timed(answer, self._first_at))


class Pool:
    """Keep-alive connections to one address; the one used last is used next."""

    # Servers close idle connections after about 5 s; an older one could be closed
    # while a request is being sent.
    idle_limit_s = 2.0

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: list[Connection] = []
        self._all: list[Connection] = []

    async def take(self) -> Connection:
        """An open connection. Raises OSError if there is none."""
        oldest = time.perf_counter() - self.idle_limit_s
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since >= oldest:
                return connection
            connection.close()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self._host, self._port)
        self._all.append(connection)
        return connection

    def give_back(self, connection: Connection) -> None:
        if connection.usable:
            self._idle.append(connection)

    async def close(self) -> None:
        """Close all connections and wait until they are closed."""
        for connection in self._all:
            connection.close()
        for connection in self._all:
            await connection.lost.wait()


def get(host: str, key: str, path: str) -> bytes:
    """The bytes of one request without a body."""
    head = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {key}\r\nAccept: */*\r\n\r\n"
    )
    return head.encode()


def post(
    host: str, key: str, content: bytes, path: str = "/v1/chat/completions"
) -> bytes:
    """The bytes of one request with a JSON body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Accept: */*\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
