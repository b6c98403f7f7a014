"""Reduces items that the database refused to a form that it may accept."""

import math
import time
from collections.abc import Iterable
from typing import Generic, TypeVar

import structlog

from valuecanvas.core.db.commit_policy import Policy
from valuecanvas.core.db.commit_retries import Waiting
from valuecanvas.core.metrics import BATCH_GIVEN_UP, BATCH_REDUCED

Item = TypeVar("Item")
log = structlog.get_logger("core.batch")

# Items as heavy as a failed one are shrunk before they are tried, for this many seconds.
WARY_S = 60.0


class Reduction(Generic[Item]):
    """Replaces failed items with smaller ones."""

    def __init__(self, policy: Policy[Item]) -> None:
        self._policy = policy
        self._too_heavy = math.inf
        self._wary_until = 0.0

    def lighten(self, batch: Iterable[Waiting[Item]]) -> None:
        """Shrink items that are as heavy as one that failed recently."""
        if time.monotonic() >= self._wary_until:
            return
        for waiting in batch:
            if self._policy.weigh(waiting.item) >= self._too_heavy:
                self._reduce(waiting, self._policy.shrink(waiting.item), "too heavy")

    def blame(self, waiting: Waiting[Item], error: BaseException) -> None:
        """The database accepts other writes: leave out the item's largest part, if any."""
        smaller = self._policy.shrink(waiting.item)
        if smaller is None:
            self._reduce(waiting, self._policy.sanitize(waiting.item), str(error))
            return
        self._too_heavy = self._policy.weigh(waiting.item)
        self._wary_until = time.monotonic() + WARY_S
        self._reduce(waiting, smaller, str(error))

    def simplify(self, waiting: Waiting[Item], error: BaseException) -> bool:
        """The item itself is wrong: sanitize it. Returns False if that is not possible."""
        must_commit = self._policy.must_commit(waiting.item)
        sanitized = self._policy.sanitize(waiting.item) if must_commit else None
        simplified = self._reduce(waiting, sanitized, str(error))
        if must_commit and not simplified:
            BATCH_GIVEN_UP.inc()
        return simplified

    def _reduce(self, waiting: Waiting[Item], item: Item | None, error: str) -> bool:
        log.error("batch.refused", error=error.split("\n")[0], retried=item is not None)
        if item is None:
            return False
        BATCH_REDUCED.inc()
        waiting.item, waiting.solo_failures = item, 0
        return True
