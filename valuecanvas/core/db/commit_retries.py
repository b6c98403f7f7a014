"""Retries of failed items that must be committed: in halves, with a backoff."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

# Waits between retries while the database is down, in seconds; the last one repeats.
BACKOFF = (0.05, 0.1, 0.2, 0.5)
# A slow try held its locks as long: the next one waits this many times that long.
REST = 2
# An item with more than this share of a batch's bytes is retried alone.
HEAVY = 1 / 32


def backoff(failures: int) -> float:
    """The wait after so many failures in a row."""
    return BACKOFF[min(failures, len(BACKOFF)) - 1] if failures else 0.0


@dataclass(slots=True, eq=False)
class Waiting(Generic[Item]):
    """One queued item and the future for its answer."""

    item: Item
    future: asyncio.Future[Any]
    queued_at: float
    # How often it failed in a transaction of its own.
    solo_failures: int = 0
    # The largest batch in which it may be retried.
    max_batch: float = math.inf
    # Bytes that it had when it was queued.
    weight: int = 0


class CommitRetries(Generic[Item]):
    """A queue of failed items. Each is retried in a batch half as large."""

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
        """Seconds until the next retry is due; None: there is none."""
        return max(0.0, self._due - time.monotonic()) if self._line else None

    def take(self) -> list[Waiting[Item]]:
        """The next group, if it is due."""
        if self.wait_s != 0:
            return []
        group: list[Waiting[Item]] = []
        free_bytes = self._most_bytes
        most: float = self._most
        while self._line and len(group) < most:
            weight = self._weigh(self._line[0].item)
            alone = weight > self._most_bytes * HEAVY
            most = min(most, 1 if alone else self._line[0].max_batch)
            free_bytes -= weight
            if group and (free_bytes < 0 or len(group) >= most):
                break
            group.append(self._line.popleft())
        return group

    def add(self, waiting: Waiting[Item]) -> None:
        """Add it at the end, so that repeated failures do not block the others."""
        self._line.append(waiting)

    def clear(self) -> None:
        self._line.clear()

    def record_failure(self, took_s: float, *, again: bool) -> None:
        """A transaction failed after `took_s`; `again`: not for the first time."""
        if again or not self._failures:
            # Else a retry is already due: a first failure does not delay it.
            self._failures += 1
            rest_s = max(backoff(self._failures), REST * took_s)
            self._due = time.monotonic() + rest_s

    def record_success(self) -> None:
        """A retry was committed: the next one is due at once."""
        self._failures = 0
        self._due = 0.0
