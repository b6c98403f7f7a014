"""Items in a form that the database takes, where it did not take them as they were."""

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

# For so long, in seconds, what is as heavy as one that was to blame is not tried at all.
WARY_S = 60.0


class Reduction(Generic[Item]):
    """Puts smaller items in the place of those that failed."""

    def __init__(self, policy: Policy[Item]) -> None:
        self._policy = policy
        self._too_heavy = math.inf
        self._wary_until = 0.0

    def lighten(self, batch: Iterable[Waiting[Item]]) -> None:
        """Leave out at once what was too heavy a moment ago."""
        if time.monotonic() >= self._wary_until:
            return
        for waiting in batch:
            if self._policy.weigh(waiting.item) >= self._too_heavy:
                self._reduce(waiting, self._policy.lighter(waiting.item), "too heavy")

    def blame(self, waiting: Waiting[Item], error: BaseException) -> None:
        """The database takes other writes: leave the item's largest part out, if any."""
        lighter = self._policy.lighter(waiting.item)
        if lighter is None:
            self._reduce(waiting, self._policy.plainer(waiting.item), str(error))
            return
        self._too_heavy = self._policy.weigh(waiting.item)
        self._wary_until = time.monotonic() + WARY_S
        self._reduce(waiting, lighter, str(error))

    def simplify(self, waiting: Waiting[Item], error: BaseException) -> bool:
        """The item itself is wrong: put it in plainer words. False: it has none."""
        must_land = self._policy.must_land(waiting.item)
        plainer = self._policy.plainer(waiting.item) if must_land else None
        simplified = self._reduce(waiting, plainer, str(error))
        if must_land and not simplified:
            BATCH_GIVEN_UP.inc()
        return simplified

    def _reduce(self, waiting: Waiting[Item], item: Item | None, error: str) -> bool:
        log.error("batch.refused", error=error.split("\n")[0], retried=item is not None)
        if item is None:
            return False
        BATCH_REDUCED.inc()
        waiting.item, waiting.failed_alone = item, 0
        return True
