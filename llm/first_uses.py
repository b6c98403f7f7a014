"""What an idempotency key's first use came to, read apart from the ledger's queue."""

import asyncio

from billing import claims
from billing.claims import Used
from billing.ledger import Claim, Replay
from billing.lookups import Lookups
from llm.types import Repeated
from valuecanvas.core.db_thread import DbThread
from valuecanvas.core.errors import Unavailable

# As an admission: a refusal is promised within 2 s.
WITHIN_S = 1.8


class FirstUses:
    """Reads claims and bills. Whoever asks often shares a few large queries."""

    def __init__(self, db: DbThread) -> None:
        self._claims = Lookups(claims.first_uses, db)
        self._bills = Lookups(claims.bills, db)

    async def of(self, claim: Claim | None) -> Used | None:
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

    async def repeated(self, replay: Replay) -> Repeated:
        """The first answer, with its bill. Raises Unavailable."""
        bill = await self._bills.get(replay.request_id)
        return Repeated(replay.request_id, replay.stored, bill)
