"""One upstream call that several requests wait for."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from llm.cache.entry import Entry
from valuecanvas.core.errors import GatewayError


class SharedFailure(GatewayError):
    """The error that the leader of the same request got."""

    default_code = None

    def __init__(
        self, error: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(
            str(error.get("message", "")),
            param=error.get("param"),
            code=error.get("code"),
            headers=dict(headers or {}),
        )
        self.status = int(error.get("status", 502))
        self.type = str(error.get("type", "upstream_error"))

    def copy(self) -> "SharedFailure":
        """A copy for one follower: each adds headers of its own."""
        error = {**self.body()["error"], "status": self.status}
        return SharedFailure(error, self.headers)


# A larger answer is not shared: its followers start again.
MOST_BYTES = 8_388_608


class SharedCallState(Enum):
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    # Its leader died or gave up: followers start again.
    LOST = "lost"
    # Its answer cannot be shared: each follower calls a provider itself.
    UNSHARED = "unshared"


@dataclass(eq=False, slots=True)
class SharedCall:
    """The events of a call so far, and how it ended. Belongs to one event loop."""

    key: str
    events: list[bytes] = field(default_factory=list)
    size: int = 0
    followers: int = 0
    state: SharedCallState = SharedCallState.RUNNING
    entry: Entry | None = None
    error: SharedFailure | None = None
    # Called with all that is added, to pass it on to other processes.
    on_events: Callable[["SharedCall", list[bytes]], None] | None = None
    # Called when the last follower has left.
    on_unfollowed: Callable[["SharedCall"], None] | None = None
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def add(self, events: list[bytes]) -> None:
        """Add the next events of the stream."""
        if self.state is not SharedCallState.RUNNING:
            return
        self.events += events
        self.size += sum(map(len, events))
        if self.on_events is not None:
            self.on_events(self, events)
        self._wake()

    def complete(self, entry: Entry) -> None:
        """End with the whole answer."""
        self.entry = entry
        self._end(SharedCallState.COMPLETE)

    def fail(self, error: SharedFailure) -> None:
        """End with an error that followers get too: a retry would not help."""
        self.error = error
        self._end(SharedCallState.FAILED)

    def lose(self) -> None:
        """End without a leader."""
        self._end(SharedCallState.LOST)

    def unshare(self) -> None:
        """End with an answer that cannot be shared."""
        self._end(SharedCallState.UNSHARED)

    @property
    def is_too_large(self) -> bool:
        """Whether the events are more than are kept for followers."""
        return self.size > MOST_BYTES

    def forget(self) -> None:
        """Free the events. Call it after the end."""
        self.events.clear()

    def join(self) -> None:
        """Add a follower."""
        self.followers += 1

    def leave(self) -> None:
        """Remove a follower."""
        self.followers -= 1
        if self.followers:
            return
        self._wake()
        if self.on_unfollowed is not None:
            self.on_unfollowed(self)

    async def wait_until_unfollowed(self) -> None:
        """Wait until the last follower has left, or for the end."""
        while self.followers and self.state is SharedCallState.RUNNING:
            await self._wait_for_change()

    async def wait_for_start(self) -> None:
        """Wait for the first event, or for the end."""
        while self.state is SharedCallState.RUNNING and not self.events:
            await self._wait_for_change()

    async def wait_for_end(self) -> SharedCallState:
        """Wait for the end."""
        while self.state is SharedCallState.RUNNING:
            await self._wait_for_change()
        return self.state

    async def follow(self) -> AsyncGenerator[list[bytes], None]:
        """Yield the events from the first to the last, as they come."""
        seen = 0
        while True:
            if seen < len(self.events):
                batch = self.events[seen:]
                seen = len(self.events)
                yield batch
            elif self.state is SharedCallState.RUNNING:
                await self._wait_for_change()
            else:
                return

    def _end(self, state: SharedCallState) -> None:
        if self.state is SharedCallState.RUNNING:
            self.state = state
            if self.on_events is not None:
                self.on_events(self, [])
            self._wake()

    async def _wait_for_change(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
