"""A raw HTTP/1.1 client: bodies that trickle, streams that are left."""

import socket
from types import TracebackType
from typing import Any, Self

import orjson

from tests.live.world import World
from tests.sse_reference import read_strictly


def data_events(body: bytes) -> list[Any]:
    """The data of the events in `body`, as every SDK reads it; `[DONE]` stays text."""
    return read_strictly(body)


def wire_events(part: bytes) -> list[Any]:
    """As `data_events`, for a part of a connection's bytes, heads and all."""
    lines = [line[6:] for line in part.split(b"\n") if line.startswith(b"data: ")]
    return ["[DONE]" if line == b"[DONE]" else orjson.loads(line) for line in lines]


def content(events: list[Any]) -> list[str]:
    """The pieces of content in chat chunks."""
    choices = [c for e in events if isinstance(e, dict) for c in e.get("choices", [])]
    return [c["delta"]["content"] for c in choices if c["delta"].get("content")]


def head(path: str, key: str, length: int, **extra: str) -> bytes:
    """The head of a POST of JSON."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in extra.items()]
    return "\r\n".join([*lines, "", ""]).encode()


class Wire:
    """A connection to the gateway; leaving the block closes it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.read = b""

    def until(self, mark: bytes) -> bytes:
        """What came up to and with `mark`, and no more. Raises EOFError."""
        while mark not in self.read:
            more = self.socket.recv(65_536)
            if not more:
                raise EOFError(f"The connection ended without {mark!r}.")
            self.read += more
        before, _, self.read = self.read.partition(mark)
        return before + mark

    def event_with(self, mark: bytes) -> bytes:
        """What came up to the end of the event with `mark` in it."""
        return self.until(mark) + self.until(b"\n\n")

    def everything(self) -> bytes:
        """What came until the other side closed."""
        while more := self.socket.recv(65_536):
            self.read += more
        return self.read

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()


class OpenStream(Wire):
    """A chat whose answer is read bit by bit, and may be left at any point."""

    def __init__(
        self,
        world: World,
        model: str,
        *,
        wait: bool = True,
        stream: bool = True,
        **headers: str,
    ) -> None:
        super().__init__(world.port)
        messages = [{"role": "user", "content": "Say hello."}]
        body = orjson.dumps({"model": model, "messages": messages, "stream": stream})
        start = head("/v1/chat/completions", world.key, len(body), **headers)
        self.socket.sendall(start + body)
        self.request_id = ""
        if wait:
            for line in self.until(b"\r\n\r\n").decode().split("\r\n"):
                name, _, value = line.partition(": ")
                if name.lower() == "x-request-id":
                    self.request_id = value
