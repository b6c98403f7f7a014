"""Step 3 of a request: minute limits, stored answers, and the same call under way."""

import asyncio
from dataclasses import dataclass

from llm.admission.ledger_items import LEASE_SLACK_S
from llm.admission.limit_check import LimitCheck
from llm.admission.quota_denials import QuotaDenials
from llm.admission.refusals import limit_error, refusal
from llm.cache.cache import Cache
from llm.cache.entry import Entry
from llm.coalesce.shared_calls import SharedCalls
from llm.limits.limiter import Limiter
from llm.limits.types import LimitRefused, MinuteUse, Subject, subjects
from llm.shared_call import SharedCall
from llm.types import CachePlace, Call, Plan
from valuecanvas.core.errors import TooManyRequests
from valuecanvas.core.ids import uuid7

# The flag `gateway.coalescing`.
COALESCING = "coalescing"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What was found: a stored answer, or a call under way."""

    place: CachePlace | None = None
    entry: Entry | None = None
    call: SharedCall | None = None
    leading: bool = False
    minute_use: MinuteUse | None = None


class Lookup:
    """Asks Redis, in one round trip, before a request is admitted."""

    def __init__(
        self,
        cache: Cache,
        shared_calls: SharedCalls,
        limiter: Limiter,
        denials: QuotaDenials,
        limit_check: LimitCheck,
    ) -> None:
        self._cache = cache
        self._shared_calls = shared_calls
        self._limiter = limiter
        self._denials = denials
        self._limit_check = limit_check

    async def run(self, call: Call, plan: Plan) -> LookupResult:
        """Count the request in its minute; find a stored answer or the same call.

        Raises TooManyRequests, for the limit that lasts longest.
        """
        try:
            denied = await self._denials.find(plan.principal.customer_id)
            if denied is not None and plan.tier.hits_take_quota:
                raise refusal(denied, plan)
            found = await self._find(call, plan)
            if denied is not None and found.entry is None:
                self.release(found)
                raise refusal(denied, plan)
        except TooManyRequests as error:
            raise await self._limit_check.find_longest(call, plan, error) from None
        return found

    async def _find(self, call: Call, plan: Plan) -> LookupResult:
        place = self._cache.place(call, plan)
        limited = subjects(plan.principal, plan.tier, call.share)
        if place is None:
            return LookupResult(minute_use=await self._count(plan, limited))
        if not limited:
            return LookupResult(place, *await self._stored(call, plan, place))
        reading = asyncio.create_task(self._stored(call, plan, place))
        try:
            counted = await self._count(plan, limited)
        except BaseException:
            reading.add_done_callback(lambda done: self._discard(place, done))
            raise
        try:
            return LookupResult(place, *await reading, counted)
        except BaseException:
            # Cancelled, perhaps after the read was done.
            reading.add_done_callback(lambda done: self._discard(place, done))
            if counted is not None:
                self._limiter.give_back_soon(counted, used_tokens=None)
            raise

    async def _stored(
        self, call: Call, plan: Plan, place: CachePlace
    ) -> tuple[Entry | None, SharedCall | None, bool]:
        """A stored answer, or a call under way, and whether this one leads it."""
        if COALESCING in plan.chosen.off:
            return await self._cache.read(place, call.directives), None, False
        return await self._shared_calls.find_or_lead(place, call.directives)

    def _discard(
        self,
        place: CachePlace,
        reading: "asyncio.Task[tuple[Entry | None, SharedCall | None, bool]]",
    ) -> None:
        if not reading.cancelled() and reading.exception() is None:
            self.release(LookupResult(place, *reading.result()))

    async def _count(
        self, plan: Plan, limited: tuple[Subject, ...]
    ) -> MinuteUse | None:
        """Count the request in its minute. Raises TooManyRequests."""
        if not limited:
            return None
        shape = plan.shape
        counted = await self._limiter.take(
            limited,
            request_id=str(uuid7()),
            tokens=shape.prompt_tokens + plan.max_output * shape.choices,
            lease_s=plan.longest_s + LEASE_SLACK_S,
        )
        if isinstance(counted, LimitRefused):
            raise limit_error(counted, shape.prompt_tokens, shape.choices)
        return counted

    def release(self, found: LookupResult, *, answered: bool = False) -> None:
        """Release what was found: the request ends, and its followers start again."""
        if found.leading and found.call is not None:
            self._shared_calls.fail(found.call, None)
        elif found.call is not None:
            self._shared_calls.decline(found.call)
        if found.minute_use is not None:
            used = 0 if answered else None
            self._limiter.give_back_soon(found.minute_use, used_tokens=used)

    async def flush(self) -> None:
        """Wait until Redis has all that was released."""
        await asyncio.gather(self._shared_calls.flush(), self._limiter.flush())
