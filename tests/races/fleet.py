"""Four processes of the gateway, changed under load, and what was in force when."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from billing.models import Usage
from tests.faults.load import off_loop, under_load
from tests.faults.traffic import Row
from tests.faults.web import Web
from tests.live.world import World

T = TypeVar("T")
PROCESSES = 4
# Requests a second of all processes together, besides those around each change.
RATE = 100.0
# Of the load: a machine too busy for it would only queue what is more.
MOST_IN_FLIGHT = 50


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
        flying: set[int] = set()

        async def load() -> Row:
            number = next(self.turns)
            web = self.webs[number % len(self.webs)]
            if len(flying) >= MOST_IN_FLIGHT:
                return Row("not asked", stream=False)
            flying.add(number)
            try:
                return await ask(web)
            finally:
                flying.discard(number)

        async with under_load(load, RATE):
            for step in steps:
                asking = asyncio.gather(*(ask(web) for web in self.webs))
                await off_loop(self.world.pool, step.change)
                await self.everywhere(step.after)
                await asking


@dataclass(frozen=True)
class Step:
    """A change, which blocks until it is committed, and how to see it then."""

    change: Callable[[], object]
    after: Callable[[Web], Awaitable[object]]


def usages(world: World, rows: Sequence[Row]) -> list[Usage]:
    """The ledger's rows of these requests, in their order, once all are there."""
    ids = [row.request_id for row in rows]

    def look() -> dict[str, Usage] | None:
        found = {str(row.pk): row for row in Usage.objects.filter(pk__in=ids)}
        return found if len(found) == len(ids) else None

    by_id = world.eventually(look)
    return [by_id[one] for one in ids]
