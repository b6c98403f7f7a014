"""What the group commit takes next: undos, halves of failed batches, retries, new items."""

import queue
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from valuecanvas.core.db.commit_answers import Answers
from valuecanvas.core.db.commit_policy import Policy
from valuecanvas.core.db.commit_retries import CommitRetries, Waiting

Item = TypeVar("Item")

# After a batch of so many items the next batch waits a moment to grow: a transaction for
# a few items costs nearly as much as one for many. A lone item is committed at once.
BUSY = 4
LINGER_S = 0.001


class CommitQueue(Generic[Item]):
    """Event loops `put` items, the thread `take`s batches; the rest is the thread's."""

    def __init__(self, policy: Policy[Item], answers: Answers[Item]) -> None:
        self._policy = policy
        self._answers = answers
        self._new: queue.SimpleQueue[Waiting[Item] | None] = queue.SimpleQueue()
        # Taken from the queue, and too heavy for the batch that was being filled.
        self._next: Waiting[Item] | None = None
        # Halves of a batch that one of its items broke.
        self.halves: list[list[Waiting[Item]]] = []
        # Committed first: a refused caller may try again at once.
        self.undos: list[Waiting[Item]] = []
        self.retries = CommitRetries(policy.size, policy.max_bytes, policy.weigh)
        # Whether the last batch was one of retries.
        self.retried = False

    @property
    def size(self) -> int:
        """New items, about."""
        return self._new.qsize()

    def put(self, one: Waiting[Item] | None) -> None:
        """Add a new item; None wakes up the thread."""
        self._new.put(one)

    def take(self, before: int, rest_s: Callable[[], float]) -> list[Waiting[Item]]:
        """The next items to commit; waits until there are some.

        `before` is the size of the last batch, `rest_s` how long new items still wait.
        """
        if self.undos:
            undos, self.undos = self.undos, []
            return undos
        if self.halves:
            return self.halves.pop()
        # Retries and new items take turns: many retries must not delay new items.
        again = [] if self.retried else self.retries.take()
        self.retried = bool(again)
        return again or self._next_batch(before, rest_s)

    def clear(self) -> None:
        """Forget all, after the thread died."""
        with suppress(queue.Empty):
            while True:
                self._new.get_nowait()
        self._next, self.halves, self.undos = None, [], []
        self.retries.clear()

    def _next_batch(
        self, before: int, rest_s: Callable[[], float]
    ) -> list[Waiting[Item]]:
        """The queued items, as many as fit into a batch."""
        first = self._next_item(self.retries.wait_s)
        if first is None:
            return []
        if before >= BUSY:
            time.sleep(LINGER_S)
        time.sleep(rest_s())
        batch, left = [first], self._policy.max_bytes - self._policy.weigh(first.item)
        while len(batch) < self._policy.size and (one := self._next_item(0)):
            left -= self._policy.weigh(one.item)
            if left < 0:
                self._next = one
                break
            batch.append(one)
        return batch

    def _next_item(self, wait_s: float | None) -> Waiting[Item] | None:
        """The next item of the queue; None: there is none, or the wait is over."""
        one, self._next = self._next, None
        if one is None:
            with suppress(queue.Empty):
                one = self._new.get(timeout=wait_s)
        # An item of a dead thread may already be among the retries, or answered.
        return one if one is not None and one in self._answers else None
