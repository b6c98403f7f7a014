"""A provider in the test's own loop that answers each request as a function says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from tests.live.inside import DONE as DONE
from tests.live.inside import chunk, event
from tests.tcp import tcp_server

ROLE, HELLO, END = chunk(role="assistant"), chunk(content="Hello."), chunk()
WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello."},
            "finish_reason": "stop",
        }
    ],
}

NO_KEY = {"error": {"message": "Incorrect API key.", "code": "invalid_api_key"}}


@dataclass(frozen=True)
class Asked:
    """One request that the provider got."""

    path: str
    key: str
    body: dict[str, Any]

    @property
    def text(self) -> str:
        found: str = self.body["messages"][-1]["content"]
        return found


Answer = Callable[[Asked], bytes]


def said(status: int, body: Any = b"", *headers: bytes) -> bytes:
    """The bytes of an HTTP answer; a body that is no bytes goes as JSON."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    head = [b"HTTP/1.1 %d Said" % status, b"Connection: close", *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + raw


def healthy(asked: Asked) -> bytes:
    """What a good provider answers to anything."""
    if asked.path.endswith("/models"):
        return said(200, {"object": "list", "data": []})
    if asked.body.get("stream"):
        return said(200, ROLE + HELLO + END + DONE)
    return said(200, WHOLE)


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    body = await reader.readexactly(int(fields.get("content-length", "0")))
    key = fields.get("authorization", "").removeprefix("bearer ")
    return Asked(head.split(" ")[1], key, orjson.loads(body) if body else {})


@asynccontextmanager
async def provider(answer: Answer = healthy) -> AsyncIterator[str]:
    """The base URL of a provider that closes each connection after its answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await _read(reader)))
        await writer.drain()

    async with tcp_server(serve) as port:
        yield f"http://127.0.0.1:{port}/v1"


__all__ = [
    "DONE",
    "END",
    "HELLO",
    "NO_KEY",
    "ROLE",
    "WHOLE",
    "Asked",
    "event",
    "healthy",
]
__all__ += ["provider", "said"]
