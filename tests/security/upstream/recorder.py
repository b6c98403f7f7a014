"""A provider that keeps what it was sent, and answers with the messages it got."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from tests.live.faucet import USAGE
from tests.tcp import tcp_server


@dataclass(frozen=True)
class Call:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: dict[str, Any]


class Recorder:
    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.calls: list[Call] = []

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        headers = {
            name.lower(): value
            for name, _, value in (one.partition(": ") for one in lines)
        }
        body = orjson.loads(await reader.readexactly(int(headers["content-length"])))
        self.calls.append(Call(line, headers, body))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + _echo(body))
        await writer.drain()
        writer.close()


def _echo(body: dict[str, Any]) -> bytes:
    text = orjson.dumps(body.get("messages")).decode()
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"id": "c", "object": "chat.completion", "choices": [choice]}
    return orjson.dumps({**answer, "usage": USAGE})


@asynccontextmanager
async def open_recorder() -> AsyncIterator[Recorder]:
    recorder = Recorder()
    async with tcp_server(recorder.serve) as port:
        recorder.url = f"http://127.0.0.1:{port}/v1"
        yield recorder
