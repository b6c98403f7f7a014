"""A provider in the test's own event loop whose answers flow when the test says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.live.inside import DONE, chunk
from tests.tcp import tcp_server

ROLE, END = chunk(role="assistant", content=""), chunk()
USAGE = {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 14}


@dataclass(eq=False)
class Pour:
    """One upstream call. Nothing is sent until it is told to."""

    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader
    asked: dict[str, Any]
    begun: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def streamed(self) -> bool:
        """Whether a stream was asked for."""
        return bool(self.asked.get("stream"))

    async def send(self, *parts: bytes) -> None:
        """More of a stream, or all of an answer that is none."""
        if not self.begun:
            self.begun = True
            self.writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        self.writer.write(b"".join(parts))
        await self.writer.drain()

    async def say(self, *texts: str) -> None:
        await self.send(*(chunk(content=text) for text in texts))

    async def finish(self) -> None:
        """The end of a stream."""
        await self.send(END, DONE)
        self.close()

    async def whole(self, text: str, finish: str = "stop") -> None:
        """All of an answer that is not streamed."""
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        body = {"id": "c", "object": "chat.completion", "choices": [choice]}
        await self.send(orjson.dumps({**body, "usage": USAGE}))
        self.close()

    async def answer(self, text: str) -> None:
        """All of the answer, as it was asked for."""
        if not self.streamed:
            await self.whole(text)
            return
        await self.send(ROLE)
        await self.say(text)
        await self.finish()

    async def refuse(self, status: int) -> None:
        head = b"HTTP/1.1 %d No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        self.writer.write(head % status)
        self.close()

    def close(self) -> None:
        self.over.set()
        self.writer.close()

    async def left(self) -> None:
        """Return once the gateway has closed the connection."""
        while await self.reader.read(1024):
            pass


class Faucet:
    """The calls so far, in order."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[Pour] = []
        self._heard = asyncio.Condition()

    async def call(self, number: int = 1) -> Pour:
        """The call of that number, counted from 1, once it has come."""
        async with self._heard:
            await self._heard.wait_for(lambda: len(self.calls) >= number)
        return self.calls[number - 1]

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        asked = orjson.loads(await reader.readexactly(length))
        pour = Pour(writer, reader, asked)
        async with self._heard:
            self.calls.append(pour)
            self._heard.notify_all()
        await pour.over.wait()


@asynccontextmanager
async def open_faucet() -> AsyncIterator[Faucet]:
    faucet = Faucet()
    async with tcp_server(faucet.serve) as port:
        faucet.url = f"http://127.0.0.1:{port}/v1"
        yield faucet
