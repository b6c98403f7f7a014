"""Reads the first answer to an idempotency key, apart from the ledger's queue."""

import asyncio
import datetime as dt

from django.conf import settings

from billing.auth.lookups import Lookups
from billing.auth.principal import Principal
from billing.ledger import Claim, claims
from billing.ledger.claims import Answered, Used
from billing.models import IdempotentReplay
from billing.refusals.refusal_rows import plain
from llm import metrics
from llm.admission.refusals import clash
from llm.admission.trace_rows import CallerMinutes, TraceRows
from llm.types import Call, ReplayedCall
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.errors import Unavailable

# As an admission: a refusal is promised within 2 s.
WITHIN_S = 1.8
# Answers may be large, and all of one query are in memory at once.
AT_ONCE = 20


class IdempotentReplays:
    """Reads claims and bills, and keeps a row of each replay.

    Many reads at once share a few large queries.
    """

    def __init__(self, db: DbThread, rows: TraceRows) -> None:
        self._rows = rows
        self._kept = CallerMinutes()
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

    async def replay(self, call: Call, caller: Principal, used: Used) -> ReplayedCall:
        """The first answer, with its bill. Raises GatewayError if there is none."""
        if not isinstance(used, Answered):
            raise clash(used)
        bill = await self._bills.get(used.request_id)
        replayed = ReplayedCall(used.request_id, used.stored, bill)
        self._note(call, caller, replayed)
        return replayed

    def _note(self, call: Call, caller: Principal, replayed: ReplayedCall) -> None:
        """Have a row written, if there were not too many of the caller."""
        now = dt.datetime.now(dt.UTC)
        minute = int(now.timestamp() // 60)
        most = settings.REPLAYS_PER_MINUTE
        if self._rows.full or self._kept.count(caller, minute) >= most:
            metrics.REPLAYS_DROPPED.inc()
            return
        self._kept.add(caller, minute)
        self._rows.add(_row(call, caller, replayed, now))


def _row(
    call: Call, caller: Principal, replayed: ReplayedCall, at: dt.datetime
) -> IdempotentReplay:
    named = replayed.bill.model if replayed.bill else call.body.get("model")
    return IdempotentReplay(
        id=call.id,
        created_at=at,
        original_id=replayed.request_id,
        user_id=caller.user_id,
        customer_id=caller.customer_id,
        team=caller.team,
        key=caller.key,
        endpoint=call.endpoint,
        model=plain(named, 200) if isinstance(named, str) else "",
        trace_id=call.trace_id,
        job=call.job,
    )
