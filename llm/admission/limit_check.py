"""Checks whether quota or a budget refuses too, after a minute limit has refused."""

import asyncio
import time
import uuid

from billing.ledger import UNFIT, BudgetRefused, Check, Ledger, Refusal
from llm.admission.hold import Reservations
from llm.admission.refusals import refusal
from llm.types import Call, Plan
from valuecanvas.core.db.group_commit import BatchUnavailable
from valuecanvas.core.errors import GatewayError, TooManyRequests
from valuecanvas.core.storage.lru import Lru

# A caller past its minute limit costs the ledger one check in this time, in seconds.
KEPT_S = 1.0
WITHIN_S = 1.0
SIZE = 10_000


class LimitCheck:
    """Asks the ledger, and remembers its answers for a second. One per process."""

    def __init__(self, ledger: Ledger, reservations: Reservations) -> None:
        self._ledger = ledger
        self._reservations = reservations
        self._known: Lru[tuple[uuid.UUID, str, int], tuple[float, Refusal | None]]
        self._known = Lru(SIZE)

    async def find_longest(
        self, call: Call, plan: Plan, error: TooManyRequests
    ) -> GatewayError:
        """The error of the limit that lasts longest, among those that refuse.

        `error` is that of a minute limit, unless it says that a retry is of no use.
        """
        if error.headers.get("x-should-retry") == "false":
            return error
        answer = await self._refusal(plan)
        if isinstance(answer, BudgetRefused):
            plan, fits = await self._reservations.recount(call, plan, answer)
            answer = None if fits else answer
        return error if answer is None else refusal(answer, plan)

    async def _refusal(self, plan: Plan) -> Refusal | None:
        """The refusal for a day or longer; None if there is none or it is unknown."""
        principal = plan.principal
        key = principal.customer_id, principal.key, plan.estimate
        at, answer = self._known.get(key) or (0.0, None)
        now = time.monotonic()
        if now - at < KEPT_S:
            return answer
        check = Check(
            party=plan.party,
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
