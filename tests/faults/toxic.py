"""A TCP proxy on loopback that goes wrong on demand, and counts how often it did."""

import asyncio
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from tests.tcp import stop_accept

T = TypeVar("T")
CHUNK = 65_536


@dataclass(frozen=True)
class Latency:
    """Every piece arrives this much later, in either direction."""

    seconds: float


@dataclass(frozen=True)
class Slicer:
    """Pieces of `size` bytes with a pause between them: also a bandwidth limit."""

    size: int
    pause: float = 0.0


@dataclass(frozen=True)
class Timeout:
    """A black hole: connections are taken and nothing passes until it is lifted."""


@dataclass(frozen=True)
class ResetPeer:
    """Whoever sends or connects gets a TCP reset."""


@dataclass(frozen=True)
class LimitData:
    """The answer ends after this many bytes on each connection."""

    most: int


@dataclass(frozen=True)
class SlowClose:
    """A connection that has ended is closed this much later."""

    seconds: float


@dataclass(frozen=True)
class Down:
    """Nobody listens, and who was connected is cut off."""


Fault = Latency | Slicer | Timeout | ResetPeer | LimitData | SlowClose | Down


class _Cut(Exception):
    """This connection is over; `hard` is a reset."""

    def __init__(self, *, hard: bool) -> None:
        self.hard = hard


@dataclass(eq=False)
class _Link:
    """One proxied connection."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    sent_down: int = 0

    def end(self, *, hard: bool) -> None:
        for writer in (self.client, self.server):
            if writer is None or writer.transport.is_closing():
                continue
            if hard:
                _linger_not(writer)
            writer.transport.abort()


def _linger_not(writer: asyncio.StreamWriter) -> None:
    """A close becomes a reset."""
    handle = writer.get_extra_info("socket")
    with suppress(OSError):
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Toxic:
    """Listens at `port` and passes everything on to `target`, as the fault lets it.

    It runs in a thread of its own; `set` and `clear` return once they are in force.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.injected: Counter[str] = Counter()
        self._target = target
        self._faults: tuple[Fault, ...] = ()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = 0
        self._do(self._listen())

    @classmethod
    def before(cls, url: str) -> "Toxic":
        """A proxy for the server of `url`."""
        parts = urlsplit(url)
        return cls((parts.hostname or "127.0.0.1", parts.port or 0))

    def url(self, url: str) -> str:
        """`url` by way of this proxy."""
        parts = urlsplit(url)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{self.port}"))

    def set(self, *faults: Fault) -> None:
        """From now on, these faults and no others."""
        self._do(self._switch(faults))

    def clear(self) -> None:
        """From now on, all is well again."""
        self.set()

    @contextmanager
    def having(self, *faults: Fault) -> Iterator[None]:
        """The faults, while the block runs."""
        self.set(*faults)
        try:
            yield
        finally:
            self.clear()

    @property
    def connections(self) -> int:
        return len(self._links)

    def close(self) -> None:
        """End the proxy with all its connections."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(
            self._begin, "127.0.0.1", self.port, backlog=1024
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _switch(self, faults: tuple[Fault, ...]) -> None:
        self._faults = faults
        if self._has(Down):
            self.injected["Down"] += 1
            await self._close()
            self._cut_all(hard=False)
        elif self._listener is None:
            await self._listen()
        if self._has(ResetPeer):
            self.injected["ResetPeer"] += len(self._links)
            self._cut_all(hard=True)

    async def _end(self) -> None:
        self._faults = ()
        await self._close()
        self._cut_all(hard=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _close(self) -> None:
        if self._listener is not None:
            listener, self._listener = self._listener, None
            await stop_accept(listener)
            listener.close()

    def _cut_all(self, *, hard: bool) -> None:
        for link in self._links:
            link.end(hard=hard)

    def _has(self, kind: type[Fault]) -> Any:
        return next((one for one in self._faults if isinstance(one, kind)), None)

    def _begin(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """At once, not in a task: the end must find a connection that has just come."""
        link = _Link(writer)
        self._links.add(link)
        task = asyncio.create_task(self._serve(link, reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, link: _Link, reader: asyncio.StreamReader) -> None:
        hard = False
        try:
            hard = await self._relay(link, reader)
        finally:
            link.end(hard=hard)
            self._links.discard(link)

    async def _relay(self, link: _Link, reader: asyncio.StreamReader) -> bool:
        """Pass both ways until either ends; True if the end is a reset."""
        try:
            if self._has(ResetPeer):
                self.injected["ResetPeer"] += 1
                return True
            await self._blocked()
            back, link.server = await asyncio.open_connection(*self._target)
            ways = [
                asyncio.create_task(self._pump(reader, link.server, link, down=False)),
                asyncio.create_task(self._pump(back, link.client, link, down=True)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                if slow := self._has(SlowClose):
                    self.injected["SlowClose"] += 1
                    await asyncio.sleep(slow.seconds)
                return any(way.done() and way.result() for way in ways)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            return False

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        link: _Link,
        *,
        down: bool,
    ) -> bool:
        """Pass one way until it ends; True if it ended by a reset of ours."""
        try:
            while data := await reader.read(CHUNK):
                await self._pass(data, writer, link, down=down)
        except _Cut as cut:
            return cut.hard
        except OSError:
            return False
        return False

    async def _pass(
        self, data: bytes, writer: asyncio.StreamWriter, link: _Link, *, down: bool
    ) -> None:
        await self._blocked()
        if self._has(ResetPeer):
            self.injected["ResetPeer"] += 1
            raise _Cut(hard=True)
        if late := self._has(Latency):
            self.injected["Latency"] += 1
            await asyncio.sleep(late.seconds)
        limit = self._has(LimitData) if down else None
        if limit is not None and link.sent_down + len(data) > limit.most:
            self.injected["LimitData"] += 1
            writer.write(data[: max(0, limit.most - link.sent_down)])
            await writer.drain()
            raise _Cut(hard=False)
        link.sent_down += len(data) if down else 0
        await self._send(data, writer)

    async def _send(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        slicer = self._has(Slicer)
        if slicer is None:
            writer.write(data)
            await writer.drain()
            return
        self.injected["Slicer"] += 1
        for start in range(0, len(data), slicer.size):
            writer.write(data[start : start + slicer.size])
            await writer.drain()
            await asyncio.sleep(slicer.pause)

    async def _blocked(self) -> None:
        """Wait while the black hole is there."""
        if self._has(Timeout):
            self.injected["Timeout"] += 1
        while self._has(Timeout):
            await asyncio.sleep(0.005)
