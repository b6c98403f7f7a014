"""Whether quota or a budget refuses too, where a minute's limit has refused already."""

import asyncio
import time
import uuid

from billing.ledger import UNFIT, Check, Ledger, Refusal
from billing.lru import Lru
from llm.resolve import party
from llm.types import Plan
from valuecanvas.core.batch import BatchUnavailable

# Whoever asks past a minute's limit in a loop costs the ledger one look in this time,
# in seconds.
KEPT_S = 1.0
WITHIN_S = 1.0
SIZE = 10_000


class LimitCheck:
    """Asks the ledger, and remembers its answers shortly. One per process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: Lru[tuple[uuid.UUID, str, int], tuple[float, Refusal | None]]
        self._known = Lru(SIZE)

    async def refusal(self, plan: Plan) -> Refusal | None:
        """What refuses for the day or longer; None also where that is not known."""
        who = plan.principal
        key = who.customer_id, who.key, plan.estimate
        at, answer = self._known.get(key) or (0.0, None)
        now = time.monotonic()
        if now - at < KEPT_S:
            return answer
        check = Check(
            party=party(who),
            quota=plan.tier.daily_requests,
            limits=plan.limits,
            estimate=plan.estimate,
            epoch=plan.epoch,
        )
        try:
            async with asyncio.timeout(WITHIN_S):
                found: Refusal | None = await self._ledger.put(check)
        except (BatchUnavailable, TimeoutError, *UNFIT):
            return None
        self._known.put(key, (now, found))
        return found
