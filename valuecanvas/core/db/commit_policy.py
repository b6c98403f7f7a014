"""What differs between uses of the group commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import psycopg

Item = TypeVar("Item")


class BatchUnavailable(Exception):
    """The item was not committed: the database is away or the queue is full."""


# Commits `items` in one transaction on the connection and answers each in order.
Work = Callable[[psycopg.Connection, Sequence[Item]], Sequence[object]]


@dataclass(frozen=True, slots=True)
class Policy(Generic[Item]):
    """What differs between uses of the group commit."""

    connect: Callable[[], psycopg.Connection]
    work: Work[Item]
    # True for items that must be committed in the end, however long it takes.
    must_land: Callable[[Item], bool]
    # What undoes an item whose commit may or may not have happened; None: nothing.
    undo: Callable[[Item], Item | None]
    # An item that the database refused, without what it may have been refused for;
    # None: there is nothing to leave out.
    plainer: Callable[[Item], Item | None] = lambda item: None
    # An item without its largest part; None: it has no such part.
    lighter: Callable[[Item], Item | None] = lambda item: None
    # Bytes that an item adds to a batch beside a row or two.
    weigh: Callable[[Item], int] = lambda item: 0
    # Writes something and takes it back: raises what a write would.
    probe: Callable[[psycopg.Connection], None] = lambda connection: None
    size: int = 200
    # One heavier item still goes alone.
    max_bytes: int = 2**21
    capacity: int = 5000
    # What waits beyond so many bytes waits without its largest part.
    capacity_bytes: int = 2**28
    observe: Callable[[int, float], None] = lambda count, waited: None
