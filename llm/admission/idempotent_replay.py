"""Reads the first answer to an idempotency key, apart from the ledger's queue."""

import asyncio

from billing.auth.lookups import Lookups
from billing.ledger import Claim, claims
from billing.ledger.claims import Answered, Used
from llm.admission.refusals import clash
from llm.types import ReplayedCall
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.errors import Unavailable

# As an admission: a refusal is promised within 2 s.
WITHIN_S = 1.8
# Answers may be large, and all of one query are in memory at once.
AT_ONCE = 20


class IdempotentReplays:
    """Reads claims and bills. Many reads at once share a few large queries."""

    def __init__(self, db: DbThread) -> None:
        self._claims = Lookups(claims.find_first_uses, db, most=AT_ONCE)
        self._bills = Lookups(claims.load_bills, db)

    async def find(self, claim: Claim | None) -> Used | None:
        """What `claim` was used for before; None: nothing, or it is not known now."""
        if claim is None:
            return None
        # One that is being read may be from before the first use ended.
        self._claims.forget()
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._claims.get(claim)
        except (Unavailable, TimeoutError):
            return None

    async def replay(self, used: Used) -> ReplayedCall:
        """The first answer, with its bill. Raises GatewayError if there is none."""
        if not isinstance(used, Answered):
            raise clash(used)
        bill = await self._bills.get(used.request_id)
        return ReplayedCall(used.request_id, used.stored, bill)
