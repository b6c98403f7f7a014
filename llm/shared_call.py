"""One upstream call that several requests wait for."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from llm.cache.entry import Entry
from valuecanvas.core.errors import GatewayError


class SharedFailure(GatewayError):
    """What the leader of the same request was told."""

    default_code = None

    def __init__(
        self, told: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(
            str(told.get("message", "")),
            param=told.get("param"),
            code=told.get("code"),
            headers=dict(headers or {}),
        )
        self.status = int(told.get("status", 502))
        self.type = str(told.get("type", "upstream_error"))

    def copy(self) -> "SharedFailure":
        """One for each who raises it: callers add headers of their own."""
        told = {**self.body()["error"], "status": self.status}
        return SharedFailure(told, self.headers)


# Past this, what came of an answer is kept for nobody: whoever follows starts anew.
MOST_BYTES = 8_388_608


class SharedCallState(Enum):
    FLYING = "flying"
    LANDED = "landed"
    FAILED = "failed"
    # Its leader died or gave up: whoever waits starts anew.
    LOST = "lost"
    # It has an answer that cannot be given to others: whoever waits asks by itself.
    UNSHARED = "unshared"


@dataclass(eq=False, slots=True)
class SharedCall:
    """The events of a call so far, and how it ended. Belongs to one event loop."""

    key: str
    events: list[bytes] = field(default_factory=list)
    # Bytes of the events.
    size: int = 0
    followers: int = 0
    state: SharedCallState = SharedCallState.FLYING
    entry: Entry | None = None
    error: SharedFailure | None = None
    # Hears of everything that is added, to pass it on to other processes.
    relay: Callable[["SharedCall", list[bytes]], None] | None = None
    # Hears that nobody follows any more.
    left: Callable[["SharedCall"], None] | None = None
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def add(self, events: list[bytes]) -> None:
        """More of the stream has come."""
        if self.state is not SharedCallState.FLYING:
            return
        self.events += events
        self.size += sum(map(len, events))
        if self.relay is not None:
            self.relay(self, events)
        self._wake()

    def land(self, entry: Entry) -> None:
        """The whole answer is there."""
        self.entry = entry
        self._end(SharedCallState.LANDED)

    def fail(self, error: SharedFailure) -> None:
        """No provider answered, and asking again at once would not help."""
        self.error = error
        self._end(SharedCallState.FAILED)

    def lose(self) -> None:
        """There is no leader any more."""
        self._end(SharedCallState.LOST)

    def unshare(self) -> None:
        """The answer cannot be shared."""
        self._end(SharedCallState.UNSHARED)

    @property
    def is_too_large(self) -> bool:
        """Whether more has come than is kept for those who follow."""
        return self.size > MOST_BYTES

    def forget(self) -> None:
        """Keep the events no longer. After its end."""
        self.events.clear()

    def join(self) -> None:
        """One more follows."""
        self.followers += 1

    def leave(self) -> None:
        """One of those who followed has gone."""
        self.followers -= 1
        if self.followers:
            return
        self._wake()
        if self.left is not None:
            self.left(self)

    async def unfollowed(self) -> None:
        """Wait until nobody follows, or for the end."""
        while self.followers and self.state is SharedCallState.FLYING:
            await self._news()

    async def begun(self) -> None:
        """Wait for the first event, or for the end."""
        while self.state is SharedCallState.FLYING and not self.events:
            await self._news()

    async def ended(self) -> SharedCallState:
        """Wait for the end."""
        while self.state is SharedCallState.FLYING:
            await self._news()
        return self.state

    async def follow(self) -> AsyncGenerator[list[bytes], None]:
        """The events from the first on, as they come, until the end."""
        seen = 0
        while True:
            if seen < len(self.events):
                batch = self.events[seen:]
                seen = len(self.events)
                yield batch
            elif self.state is SharedCallState.FLYING:
                await self._news()
            else:
                return

    def _end(self, state: SharedCallState) -> None:
        if self.state is SharedCallState.FLYING:
            self.state = state
            if self.relay is not None:
                self.relay(self, [])
            self._wake()

    async def _news(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
