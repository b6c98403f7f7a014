"""What must be committed and has failed: tried again in halves, never all the time."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

# Waits between tries while the database is away, in seconds; the last one repeats.
BACKOFF = (0.05, 0.1, 0.2, 0.5)
# A try that took long held locks as long: others get so many times that before the next.
REST = 2
# The share of a batch's bytes from which an item is tried again alone.
HEAVY = 1 / 32


def backoff(failures: int) -> float:
    """The wait after so many failures in a row."""
    return BACKOFF[min(failures, len(BACKOFF)) - 1] if failures else 0.0


@dataclass(slots=True, eq=False)
class Waiting(Generic[Item]):
    """One queued item and who waits for it."""

    item: Item
    future: asyncio.Future[Any]
    queued_at: float
    # How often it failed in a transaction of its own.
    failed_alone: int = 0
    # With so many, itself included, it may be tried again.
    company: float = math.inf
    # Bytes that it had when it was queued.
    weight: int = 0


class CommitRetries(Generic[Item]):
    """A line of failed items. Each is tried again with half of those it failed with."""

    def __init__(
        self, most: int, most_bytes: int, weigh: Callable[[Item], int]
    ) -> None:
        self._line: deque[Waiting[Item]] = deque()
        self._most = most
        self._most_bytes = most_bytes
        self._weigh = weigh
        self._failures = 0
        self._due = 0.0

    def __len__(self) -> int:
        return len(self._line)

    @property
    def wait_s(self) -> float | None:
        """Seconds until a group is due; None: there is nothing to try again."""
        return max(0.0, self._due - time.monotonic()) if self._line else None

    def take(self) -> list[Waiting[Item]]:
        """The next group, if it is due."""
        if self.wait_s != 0:
            return []
        group: list[Waiting[Item]] = []
        room = self._most_bytes
        most: float = self._most
        while self._line and len(group) < most:
            weight = self._weigh(self._line[0].item)
            alone = weight > self._most_bytes * HEAVY
            most = min(most, 1 if alone else self._line[0].company)
            room -= weight
            if group and (room < 0 or len(group) >= most):
                break
            group.append(self._line.popleft())
        return group

    def add(self, waiting: Waiting[Item]) -> None:
        """To the end of the line: what fails again does not stand before the others."""
        self._line.append(waiting)

    def clear(self) -> None:
        self._line.clear()

    def failed(self, took_s: float, *, again: bool) -> None:
        """A transaction failed after `took_s`; `again`: not for the first time."""
        if again or not self._failures:
            # Else a group is due already: who fails for the first time delays nobody.
            self._failures += 1
            rest_s = max(backoff(self._failures), REST * took_s)
            self._due = time.monotonic() + rest_s

    def landed(self) -> None:
        """A group was committed: the next one may be tried at once."""
        self._failures = 0
        self._due = 0.0
