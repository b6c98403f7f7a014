"""An open-loop client: requests start on time whatever became of the earlier ones."""

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
import orjson

T = TypeVar("T")
# Nothing of ours takes longer; past it the row says so and the case fails.
LONGEST_S = 60.0
# Less than the server's: a connection must not be closed just as it is used again.
IDLE_S = 1.0


@dataclass
class Row:
    """What the client saw of one request. Times are monotonic seconds."""

    model: str
    stream: bool
    status: int = 0
    request_id: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    texts: list[str] = field(default_factory=list)
    events: int = 0
    done: bool = False
    error: dict[str, Any] | None = None
    # How the connection ended before the answer did: '' if it did not.
    broke: str = ""
    began: float = 0.0
    took: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens received: the demo provider sends one in each event."""
        return len(self.texts)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def code(self) -> str:
        """The error's code, or ''."""
        return str((self.error or {}).get("code") or "")

    @property
    def whole(self) -> bool:
        """Answered in full."""
        return self.status == 200 and self.error is None and not self.broke

    def take(self, payload: bytes) -> None:
        """Read the data of one event."""
        self.events += 1
        if payload == b"[DONE]":
            self.done = True
            return
        event = orjson.loads(payload)
        self.error = event.get("error") or self.error
        for choice in event.get("choices", ()):
            if content := choice.get("delta", {}).get("content"):
                self.texts.append(content)


@dataclass(frozen=True)
class Cut:
    """The client leaves after this many bytes of the answer."""

    after: int = 0
    reset: bool = False


class Client:
    """Use as an async context manager."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    async def __aenter__(self) -> "Client":
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S),
            timeout=aiohttp.ClientTimeout(total=LONGEST_S),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def chat(
        self,
        url: str,
        key: str,
        model: str,
        *,
        stream: bool = False,
        text: str = "Say hello.",
        cut: Cut | None = None,
        give_up_s: float | None = None,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> Row:
        """One chat; whatever happens is in the row. `give_up_s`: the client leaves."""
        row = Row(model, stream, began=time.monotonic())
        self.rows.append(row)
        messages = [{"role": "user", "content": text}]
        body = {"model": model, "messages": messages, "stream": stream, **fields}
        sent = {"Authorization": f"Bearer {key}", **(headers or {})}
        try:
            async with asyncio.timeout(give_up_s):
                async with self.session.post(
                    f"{url}/v1/chat/completions", json=body, headers=sent
                ) as answer:
                    await _read(answer, row, cut)
        except TimeoutError:
            row.broke = "gave up" if give_up_s else "too slow"
        except (aiohttp.ClientError, OSError) as error:
            row.broke = type(error).__name__
        row.took = time.monotonic() - row.began
        return row


async def _read(answer: aiohttp.ClientResponse, row: Row, cut: Cut | None) -> None:
    row.status = answer.status
    row.headers = {name.lower(): value for name, value in answer.headers.items()}
    row.request_id = row.headers.get("x-request-id", "")
    if answer.content_type == "text/event-stream":
        await _read_events(answer, row, cut)
        return
    row.body = await answer.read()
    try:
        found = orjson.loads(row.body)
    except orjson.JSONDecodeError:
        row.broke = "no JSON"
        return
    row.error = found.get("error")
    for choice in found.get("choices", ()):
        row.texts.append(choice["message"].get("content") or "")


async def _read_events(
    answer: aiohttp.ClientResponse, row: Row, cut: Cut | None
) -> None:
    size, rest = 0, b""
    async for data in answer.content.iter_any():
        size += len(data)
        *events, rest = (rest + data).split(b"\n\n")
        for event in events:
            for line in event.split(b"\n"):
                if line.startswith(b"data: "):
                    row.take(line[6:])
        if cut is not None and size >= cut.after:
            _leave(answer, cut)
            row.broke = "cut"
            return
    if rest.strip():
        row.broke = "half an event"


def _leave(answer: aiohttp.ClientResponse, cut: Cut) -> None:
    connection = answer.connection
    if cut.reset and connection is not None and connection.transport is not None:
        connection.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    answer.close()


async def arrivals(
    makers: Sequence[Callable[[], Awaitable[T]]], rate: float
) -> list[T]:
    """Start the makers at `rate` a second, late ones at once; their results in order."""
    began = time.monotonic()

    async def start(index: int) -> T:
        await asyncio.sleep(max(0.0, began + index / rate - time.monotonic()))
        return await makers[index]()

    return list(await asyncio.gather(*(start(n) for n in range(len(makers)))))


async def at_once(makers: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Start all the makers behind one barrier; their results in order."""
    gate = asyncio.Event()

    async def start(make: Callable[[], Awaitable[T]]) -> T:
        await gate.wait()
        return await make()

    tasks = [asyncio.create_task(start(make)) for make in makers]
    await asyncio.sleep(0)
    gate.set()
    return list(await asyncio.gather(*tasks))
