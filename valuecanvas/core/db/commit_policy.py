"""What differs between uses of the group commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import psycopg

Item = TypeVar("Item")


class BatchUnavailable(Exception):
    """The item was not committed: the database is down or the queue is full."""


# Commits `items` in one transaction on the connection; the answers are in their order.
Work = Callable[[psycopg.Connection, Sequence[Item]], Sequence[object]]


@dataclass(frozen=True, slots=True)
class Policy(Generic[Item]):
    """What differs between uses of the group commit."""

    connect: Callable[[], psycopg.Connection]
    work: Work[Item]
    # True for items that are retried until they are committed.
    must_commit: Callable[[Item], bool]
    # An item that undoes another one, which may or may not be committed; None: not needed.
    undo: Callable[[Item], Item | None]
    # A refused item without what the database may have refused; None: there is nothing
    # to leave out.
    sanitize: Callable[[Item], Item | None] = lambda item: None
    # An item without its largest part; None: it has no such part.
    shrink: Callable[[Item], Item | None] = lambda item: None
    # Bytes of an item's largest part.
    weigh: Callable[[Item], int] = lambda item: 0
    # Writes something and deletes it again: raises what a write would.
    probe: Callable[[psycopg.Connection], None] = lambda connection: None
    size: int = 200
    # A heavier item is committed alone.
    max_bytes: int = 2**21
    capacity: int = 5000
    # Items queued beyond so many bytes are queued without their largest part.
    capacity_bytes: int = 2**28
    observe: Callable[[int, float], None] = lambda count, waited: None
