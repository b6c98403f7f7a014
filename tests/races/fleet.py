"""Four processes of the gateway, changed under load, and what was in force when."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from tests.faults.load import off_loop, under_load
from tests.faults.traffic import Row
from tests.faults.web import Web
from tests.live.world import World

T = TypeVar("T")
PROCESSES = 4
# Requests a second of all processes together, besides those around each change.
RATE = 100.0


@dataclass
class Timeline(Generic[T]):
    """What was in force when, by the client's clock: monotonic seconds."""

    first: T
    # (when it was begun, when it had been committed, what then was in force)
    changes: list[tuple[float, float, T]] = field(default_factory=list)

    @property
    def now(self) -> T:
        return self.changes[-1][2] if self.changes else self.first

    def change(self, state: T, act: Callable[[], object]) -> None:
        """Do what makes `state` the one in force; `act` returns after its commit."""
        begun = time.monotonic()
        act()
        self.changes.append((begun, time.monotonic(), state))

    def allowed(self, row: Row) -> set[T]:
        """What the request may have run on: of changes that it did not begin after,
        any that was begun before it ended.
        """
        before = [state for _, done, state in self.changes if done <= row.began]
        meanwhile = {
            state
            for begun, done, state in self.changes
            if done > row.began and begun < row.began + row.took
        }
        return {before[-1] if before else self.first, *meanwhile}


@dataclass
class Fleet:
    """The processes, and a customer with a key who has quota for all of it."""

    world: World
    webs: list[Web]

    def __post_init__(self) -> None:
        self.turns = count()

    @property
    def next_web(self) -> Web:
        """The processes in turn."""
        return self.webs[next(self.turns) % len(self.webs)]

    def guards(self, what: str) -> None:
        """Of every process: 'on', 'epoch/off' or 'version/off'."""
        assert [web.status(f"/_guards/{what}") for web in self.webs] == [200] * 4

    async def everywhere(self, ask: Callable[[Web], Awaitable[T]]) -> list[T]:
        """Ask every process at once."""
        return list(await asyncio.gather(*(ask(web) for web in self.webs)))

    async def under_changes(
        self, ask: Callable[[Web], Awaitable[Row]], steps: Iterable["Step"]
    ) -> None:
        """Take the steps one by one under load.

        With each, every process is asked while the change is being made, and once it
        is committed by `after`.
        """
        async with under_load(lambda: ask(self.next_web), RATE):
            for step in steps:
                asking = [asyncio.create_task(ask(web)) for web in self.webs]
                await off_loop(self.world.pool, step.change)
                await self.everywhere(step.after)
                await asyncio.gather(*asking)


@dataclass(frozen=True)
class Step:
    """A change, which blocks until it is committed, and how to see it then."""

    change: Callable[[], object]
    after: Callable[[Web], Awaitable[object]]
