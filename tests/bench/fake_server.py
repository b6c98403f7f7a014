"""A tiny HTTP server whose replies a test chooses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.tcp import tcp_server

Reply = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def response(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def always(raw: bytes) -> Reply:
    async def reply(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return reply


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length: ")
    return int(rest.split(b"\r\n")[0] or 0)


@contextlib.asynccontextmanager
async def serving(reply: Reply) -> AsyncIterator[str]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            head = await reader.readuntil(b"\r\n\r\n")
            await reply(await reader.readexactly(_length(head)), writer)

    async with tcp_server(talk) as port:
        yield f"http://127.0.0.1:{port}"
