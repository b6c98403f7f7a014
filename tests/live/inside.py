"""The gateway in the test's own event loop, and an upstream that says what it is told.

For what depends on timing, or on a fault that no process outside could bring about.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson

from llm.runtime import Runtime
from tests.live.world import Answer, World, unique
from tests.tcp import tcp_server
from valuecanvas.http import hot

CHAT = "/v1/chat/completions"


class Exchange:
    """One request to the hot path; its client leaves when `leave` is called."""

    def __init__(
        self,
        runtime: Runtime | None,
        path: str,
        body: bytes | Sequence[bytes] = b"",
        *,
        method: str = "POST",
        key: str = "",
    ) -> None:
        headers = [(b"content-type", b"application/json")]
        if key:
            headers.append((b"authorization", f"Bearer {key}".encode()))
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
        }
        if runtime is not None:
            self.scope["valuecanvas.runtime"] = runtime
        self._parts = [body] if isinstance(body, bytes) else list(body)
        self._left = asyncio.Event()
        self._heard = asyncio.Condition()
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if self._parts:
            part = self._parts.pop(0)
            more = bool(self._parts)
            return {"type": "http.request", "body": part, "more_body": more}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        async with self._heard:
            self.sent.append(message)
            self._heard.notify_all()

    def leave(self) -> None:
        self._left.set()

    async def run(self) -> Answer:
        """Serve it to its end."""
        await hot.handle(self.scope, self.receive, self.send)
        return self.answer

    def start(self) -> "asyncio.Task[None]":
        """Serve it in the background."""
        return asyncio.create_task(hot.handle(self.scope, self.receive, self.send))

    async def until(self, mark: bytes) -> None:
        """Wait until `mark` was sent to the client."""
        async with self._heard:
            await self._heard.wait_for(lambda: mark in self.body)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def answer(self) -> Answer:
        start = self.sent[0]
        headers = {k.decode().lower(): v.decode() for k, v in start["headers"]}
        return Answer(start["status"], headers, self.body)


def chat_body(model: str, text: str = "", **fields: Any) -> bytes:
    """A chat with one user message: of its own, so that no other call answers it."""
    messages = [{"role": "user", "content": text or unique("Say hello to")}]
    return orjson.dumps({"model": model, "messages": messages, **fields})


def chunk(**fields: Any) -> bytes:
    """A chat chunk as an event; without fields, the one that ends the answer."""
    choice = {"index": 0, "delta": fields, "finish_reason": None if fields else "stop"}
    return event({"id": "c", "created": 1, "choices": [choice]})


async def ask(world: World, gateway: Runtime, model: str, **fields: Any) -> Answer:
    """The answer to one chat."""
    body = chat_body(model, **fields)
    return await Exchange(gateway, CHAT, body, key=world.key).run()


def event(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


DONE = b"data: [DONE]\n\n"


@asynccontextmanager
async def upstream(
    *script: bytes | float, status: int = 200, heard: asyncio.Event | None = None
) -> AsyncIterator[str]:
    """A server that answers every request with `script`; a number is a pause in seconds.

    Gives its base URL. Each part is a write of its own; the end closes the connection.
    `heard` is set once it has a whole request.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        await reader.readexactly(length)
        if heard is not None:
            heard.set()
        writer.write(b"HTTP/1.1 %d Said\r\nConnection: close\r\n\r\n" % status)
        for part in script:
            if isinstance(part, float):
                await asyncio.sleep(part)
            else:
                writer.write(part)
                await writer.drain()

    async with tcp_server(serve) as port:
        yield f"http://127.0.0.1:{port}/v1"
