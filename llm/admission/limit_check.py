"""Whether quota or a budget refuses too, where a minute's limit has refused already."""

import asyncio
import time
import uuid

from billing.ledger import UNFIT, BudgetRefused, Check, Ledger, Refusal
from llm.admission.hold import Reservations
from llm.admission.refusals import refusal
from llm.resolve.plan import party
from llm.types import Call, Plan
from valuecanvas.core.db.group_commit import BatchUnavailable
from valuecanvas.core.errors import GatewayError, TooManyRequests
from valuecanvas.core.storage.lru import Lru

# Whoever asks past a minute's limit in a loop costs the ledger one look in this time,
# in seconds.
KEPT_S = 1.0
WITHIN_S = 1.0
SIZE = 10_000


class LimitCheck:
    """Asks the ledger, and remembers its answers shortly. One per process."""

    def __init__(self, ledger: Ledger, holder: Reservations) -> None:
        self._ledger = ledger
        self._holder = holder
        self._known: Lru[tuple[uuid.UUID, str, int], tuple[float, Refusal | None]]
        self._known = Lru(SIZE)

    async def longest(
        self, call: Call, plan: Plan, error: TooManyRequests
    ) -> GatewayError:
        """Of the limits that refuse, the error of the one that lasts longest.

        `error` is a minute's, unless it says that asking again is of no use.
        """
        if error.headers.get("x-should-retry") == "false":
            return error
        answer = await self._refusal(plan)
        if isinstance(answer, BudgetRefused):
            plan, fits = await self._holder.counted(call, plan, answer)
            answer = None if fits else answer
        return error if answer is None else refusal(answer, plan)

    async def _refusal(self, plan: Plan) -> Refusal | None:
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
