"""A group commit without a database, whose items say what becomes of their batch."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from socket import socketpair
from types import SimpleNamespace
from typing import Any, cast

import psycopg

from valuecanvas.core.db.group_commit import GroupCommit, Policy

Error = Callable[[], BaseException]


@dataclass(frozen=True)
class Thing:
    """An item. Its batch fails by `error` while that is wanted: `times` times."""

    name: str
    must_commit: bool = True
    error: Error | None = None
    times: float = float("inf")
    weight: int = 0
    # The error is gone without the weight, or in a sanitized form.
    lighter_helps: bool = False
    plainer_helps: bool = False


class Connection:
    """A session whose server says nothing by itself."""

    closed = False

    def __init__(self) -> None:
        self.ends = socketpair()
        self.pgconn = SimpleNamespace(socket=self.ends[0].fileno())

    def close(self) -> None:
        self.closed = True
        for end in self.ends:
            end.close()


@dataclass
class BrokenDesk:
    """Notes each try, and fails it as its items want."""

    tries: list[list[str]] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    landed: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)
    takes_writes: bool = True

    def work(
        self, connection: psycopg.Connection, things: Sequence[Thing]
    ) -> Sequence[object]:
        self.tries.append([thing.name for thing in things])
        self.weights.append(sum(thing.weight for thing in things))
        for thing in things:
            seen = self.failed.get(thing.name, 0)
            if thing.error is not None and seen < thing.times:
                self.failed[thing.name] = seen + 1
                raise thing.error()
        self.landed += [thing.name for thing in things]
        return [thing.name for thing in things]

    def undo(self, thing: Thing) -> Thing | None:
        return None if thing.must_commit else Thing(f"undo-{thing.name}")

    def shrink(self, thing: Thing) -> Thing | None:
        if not thing.weight:
            return None
        error = None if thing.lighter_helps else thing.error
        return replace(thing, weight=0, error=error)

    def sanitize(self, thing: Thing) -> Thing | None:
        return (
            replace(thing, error=None, plainer_helps=False)
            if thing.plainer_helps
            else None
        )

    def probe(self, connection: psycopg.Connection) -> None:
        if not self.takes_writes:
            raise psycopg.errors.ReadOnlySqlTransaction

    def policy(self, **fields: Any) -> Policy[Thing]:
        return Policy(
            connect=lambda: cast(psycopg.Connection, Connection()),
            work=self.work,
            must_commit=lambda thing: thing.must_commit,
            undo=self.undo,
            sanitize=self.sanitize,
            shrink=self.shrink,
            weigh=lambda thing: thing.weight,
            probe=self.probe,
            **fields,
        )


@asynccontextmanager
async def serving(
    desk: BrokenDesk, **fields: Any
) -> AsyncIterator["GroupCommit[Thing]"]:
    group = GroupCommit(desk.policy(**fields))
    try:
        yield group
    finally:
        await asyncio.to_thread(group.close, 0.1)


async def outcomes(group: "GroupCommit[Thing]", *things: Thing) -> list[Any]:
    """The answer or the error of each."""
    asked = [group.submit(thing) for thing in things]
    return await asyncio.gather(*asked, return_exceptions=True)
