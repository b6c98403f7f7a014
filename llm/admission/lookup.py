"""Step 3 of a request: what is there already, and may one more be made this minute?"""

import asyncio
from dataclasses import dataclass

from llm.admission.ledger_items import LEASE_SLACK_S
from llm.admission.limit_check import LimitCheck
from llm.admission.quota_denials import QuotaDenials
from llm.admission.refusals import refusal
from llm.cache.cache import Cache
from llm.cache.entry import Entry
from llm.coalesce.flights import SharedCalls
from llm.limits.limiter import Limiter
from llm.limits.refusal import error as limit_error
from llm.limits.types import LimitRefused, MinuteUse, Subject, subjects
from llm.shared_call import SharedCall
from llm.types import CachePlace, Call, Plan
from valuecanvas.core.errors import TooManyRequests
from valuecanvas.core.ids import uuid7

# The flag `gateway.coalescing`.
COALESCING = "coalescing"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What is there already: a stored answer, or a call under way."""

    place: CachePlace | None = None
    entry: Entry | None = None
    flight: SharedCall | None = None
    leading: bool = False
    taken: MinuteUse | None = None


class Lookup:
    """Asks Redis, in one round trip, before a request is admitted."""

    def __init__(
        self,
        cache: Cache,
        flights: SharedCalls,
        limiter: Limiter,
        denials: QuotaDenials,
        limit_check: LimitCheck,
    ) -> None:
        self._cache = cache
        self._flights = flights
        self._limiter = limiter
        self._denials = denials
        self._limit_check = limit_check

    async def look(self, call: Call, plan: Plan) -> LookupResult:
        """Minute limits, and a stored answer or the same request under way.

        Raises TooManyRequests, of the limit that lasts longest.
        """
        try:
            denied = await self._denials.standing(plan.principal.customer_id)
            if denied is not None and plan.tier.hits_take_quota:
                raise refusal(denied, plan)
            look = await self._look(call, plan)
            if denied is not None and look.entry is None:
                self.let_go(look)
                raise refusal(denied, plan)
        except TooManyRequests as error:
            raise await self._limit_check.longest(call, plan, error) from None
        return look

    async def _look(self, call: Call, plan: Plan) -> LookupResult:
        place = self._cache.place(call, plan)
        limited = subjects(plan.principal, plan.tier)
        if place is None:
            return LookupResult(taken=await self._count(plan, limited))
        if not limited:
            found = await self._stored(call, plan, place)
            return LookupResult(place, *found)
        looking = asyncio.create_task(self._stored(call, plan, place))
        try:
            counted = await self._count(plan, limited)
        except BaseException:
            looking.add_done_callback(lambda done: self._looked_in_vain(place, done))
            raise
        try:
            return LookupResult(place, *await looking, counted)
        except BaseException:
            # Cancelled, perhaps when the look was done already.
            looking.add_done_callback(lambda done: self._looked_in_vain(place, done))
            if counted is not None:
                self._limiter.give_back_soon(counted, used_tokens=None)
            raise

    async def _stored(
        self, call: Call, plan: Plan, place: CachePlace
    ) -> tuple[Entry | None, SharedCall | None, bool]:
        """A stored answer, or a call under way, and whether this one leads it."""
        if COALESCING in plan.chosen.off:
            return await self._cache.read(place, call.directives), None, False
        return await self._flights.look(place, call.directives)

    def _looked_in_vain(
        self,
        place: CachePlace,
        looking: "asyncio.Task[tuple[Entry | None, SharedCall | None, bool]]",
    ) -> None:
        if not looking.cancelled() and looking.exception() is None:
            self.let_go(LookupResult(place, *looking.result()))

    async def _count(
        self, plan: Plan, limited: tuple[Subject, ...]
    ) -> MinuteUse | None:
        """Count the request in its minute. Raises TooManyRequests."""
        if not limited:
            return None
        shape = plan.shape
        taken = await self._limiter.take(
            limited,
            request_id=str(uuid7()),
            tokens=shape.prompt_tokens + plan.max_output * shape.choices,
            lease_s=plan.longest_s + LEASE_SLACK_S,
        )
        if isinstance(taken, LimitRefused):
            raise limit_error(taken, shape.prompt_tokens, shape.choices)
        return taken

    def let_go(self, look: LookupResult, *, answered: bool = False) -> None:
        """The request goes no further: whoever waits for it starts anew."""
        if look.leading and look.flight is not None:
            self._flights.failed(look.flight, None)
        elif look.flight is not None:
            self._flights.passed_by(look.flight)
        if look.taken is not None:
            used = 0 if answered else None
            self._limiter.give_back_soon(look.taken, used_tokens=used)

    async def released(self) -> None:
        """Wait until Redis has heard of all that was let go."""
        await asyncio.gather(self._flights.given_up(), self._limiter.given_back())
