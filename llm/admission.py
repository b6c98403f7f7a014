"""Steps 1, 2 and 4 of a request: who calls, how it is served, may it be paid."""

import asyncio
import time
from dataclasses import dataclass

from django.db import Error as DatabaseError

from billing.callers import Callers
from billing.ledger import (
    Admission as LedgerAnswer,
)
from billing.ledger import (
    Admit,
    Admitted,
    Charge,
    Claim,
    Hit,
    Ledger,
    Peek,
    QuotaRefused,
    Replay,
    Stale,
)
from billing.principal import Principal
from llm import checks, idempotency, settlement, stored
from llm.cache.cache import Cache
from llm.cache.entry import Entry
from llm.coalesce.flight import Flight
from llm.coalesce.flights import Flights
from llm.denials import Denials
from llm.journal import Journal, JournalFull
from llm.limits.limiter import Limiter
from llm.limits.refusal import error as limit_error
from llm.limits.types import Refused, Subject, Taken, subjects
from llm.live_config import LiveConfig
from llm.refusals import refusal
from llm.resolve import party, resolve
from llm.snapshot import Snapshot
from llm.translate import to_chat
from llm.types import Call, Following, Held, Known, Place, Plan, Repeated
from valuecanvas.core.batch import BatchUnavailable
from valuecanvas.core.errors import (
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    Unavailable,
)
from valuecanvas.core.ids import uuid7

Entered = Held | Known | Following | Repeated
# Configuration that changes faster than this many tries is an operator's script.
TRIES = 8
ADMIT_WITHIN_S = 2.0
# Added to the model's total timeout: settling may wait for the database.
LEASE_SLACK_S = 60.0


def unavailable() -> Unavailable:
    """The answer while the database cannot decide: money never fails open."""
    return Unavailable(
        "The gateway cannot reach its ledger now; try again shortly.",
        code="ledger_unavailable",
        headers={"Retry-After": "1"},
    )


@dataclass(frozen=True, slots=True)
class Look:
    """What is there already: a stored answer, or a call under way."""

    place: Place | None = None
    entry: Entry | None = None
    flight: Flight | None = None
    leading: bool = False
    taken: Taken | None = None


class Admission:
    """Admits calls one by one; what it decides on is never older than the commit."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        config: LiveConfig,
        callers: Callers,
        cache: Cache,
        flights: Flights,
        journal: Journal,
        limiter: Limiter,
        denials: Denials,
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._callers = callers
        self._cache = cache
        self._flights = flights
        self._journal = journal
        self._limiter = limiter
        self._denials = denials

    async def identify(self, call: Call) -> Principal:
        """The caller, or the user it acts for. Raises GatewayError."""
        try:
            return await self._caller(call)
        except DatabaseError as error:
            raise unavailable() from error

    async def _caller(self, call: Call) -> Principal:
        if call.identify is not None:
            return await call.identify(self._callers)
        principal = await self._callers.by_bearer(call.authorization)
        if call.on_behalf is None:
            return principal
        if not call.on_behalf_required and "act_as" not in principal.scopes:
            # OpenAI's own `user` field: without the scope it is only passed on.
            return principal
        return await self._callers.acting_for(principal, call.on_behalf)

    async def snapshot(self) -> Snapshot:
        """The configuration as it is committed now, for answers without admission."""
        try:
            async with asyncio.timeout(ADMIT_WITHIN_S):
                epoch = await self._ledger.put(Peek())
                return await self._config.refresh(epoch)
        except (BatchUnavailable, TimeoutError, DatabaseError) as error:
            if self._config.loaded:
                return self._config.current
            raise unavailable() from error

    async def admit(self, call: Call) -> Entered:
        """Hold quota and money for `call`, or answer it from what is stored.

        Raises GatewayError.
        """
        shape = checks.SHAPES[call.endpoint](call.body)
        if not self._config.loaded:
            await self.snapshot()
        for _ in range(TRIES):
            snapshot = self._config.current
            try:
                principal = await self.identify(call)
                plan = resolve(call.endpoint, shape, principal, snapshot)
                _check_translation(call, plan)
            except (
                NotAuthenticated,
                NotPermitted,
                NotFound,
                InvalidRequest,
                Unavailable,
            ):
                # Refused by a snapshot that may be behind: look before refusing.
                if (await self.snapshot()).epoch == snapshot.epoch:
                    raise
                continue
            entered = await self._enter(call, plan)
            if not isinstance(entered, Stale):
                return entered
            await self._refresh(entered.epoch)
        raise Unavailable(
            "The configuration is changing too fast; try again shortly.",
            headers={"Retry-After": "1"},
        )

    async def _refresh(self, epoch: int) -> None:
        try:
            async with asyncio.timeout(ADMIT_WITHIN_S):
                await self._config.refresh(epoch)
        except (DatabaseError, TimeoutError) as error:
            raise unavailable() from error

    async def _enter(self, call: Call, plan: Plan) -> Entered | Stale:
        """Look whether an answer is stored, then take quota and money."""
        denied = await self._denials.standing(plan.principal.customer_id)
        if denied is not None:
            raise refusal(denied, plan)
        look = await self._look(call, plan)
        entered: Entered | Stale | None = None
        try:
            entered = await self._take(call, plan, look)
        finally:
            if not isinstance(entered, Held | Following):
                self._let_go(look, entered)
        return entered

    async def _look(self, call: Call, plan: Plan) -> Look:
        """Step 3: minute limits and what is stored, in one round trip to Redis.

        Raises TooManyRequests.
        """
        place = self._cache.place(call, plan)
        limited = subjects(plan.principal, plan.tier)
        if place is None:
            return Look(taken=await self._count(plan, limited))
        if not limited:
            found = await self._flights.look(place, call.directives)
            return Look(place, *found)
        looking = asyncio.create_task(self._flights.look(place, call.directives))
        try:
            counted = await self._count(plan, limited)
        except BaseException:
            looking.add_done_callback(lambda done: self._looked_in_vain(place, done))
            raise
        try:
            return Look(place, *await looking, counted)
        except BaseException:
            # Cancelled, perhaps when the look was done already.
            looking.add_done_callback(lambda done: self._looked_in_vain(place, done))
            if counted is not None:
                self._limiter.give_back_soon(counted, used_tokens=None)
            raise

    def _looked_in_vain(
        self,
        place: Place,
        looking: "asyncio.Task[tuple[Entry | None, Flight | None, bool]]",
    ) -> None:
        if not looking.cancelled() and looking.exception() is None:
            self._let_go(Look(place, *looking.result()), None)

    async def _count(self, plan: Plan, limited: tuple[Subject, ...]) -> Taken | None:
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
        if isinstance(taken, Refused):
            raise limit_error(taken)
        return taken

    def _let_go(self, look: Look, entered: "Entered | Stale | None") -> None:
        """The request goes no further: whoever waits for it starts anew."""
        if look.leading and look.flight is not None:
            self._flights.failed(look.flight, None)
        if look.taken is not None:
            used = 0 if isinstance(entered, Known) else None
            self._limiter.give_back_soon(look.taken, used_tokens=used)

    async def _take(self, call: Call, plan: Plan, look: Look) -> Entered | Stale:
        """Take quota, and money where a provider is to be paid. Raises GatewayError."""
        claim = idempotency.claim(
            call.idempotency_key, plan.principal, call.endpoint, call.body
        )
        following = look.flight is not None and not look.leading
        item: Admit | Hit
        if look.entry is not None:
            item = _hit(call, plan, claim, look.entry)
        else:
            item = self._admit(call, plan, claim, free=following)
        asked_at = time.monotonic()
        answer = await self._put(item)
        if isinstance(answer, QuotaRefused):
            customer = plan.principal.customer_id
            await self._denials.note(customer, answer, asked_at)
        if isinstance(answer, Admitted):
            return _entered(call, plan, answer, claim, look)
        if isinstance(answer, Replay):
            return Repeated(answer.request_id, answer.stored)
        if isinstance(answer, Stale):
            return answer
        raise refusal(answer, plan)

    async def _put(self, item: Admit | Hit) -> LedgerAnswer:
        if not self._journal.ready():
            raise JournalFull
        try:
            async with asyncio.timeout(ADMIT_WITHIN_S):
                answer: LedgerAnswer = await self._ledger.put(item)
        except (BatchUnavailable, TimeoutError) as error:
            raise unavailable() from error
        return answer

    def _admit(
        self, call: Call, plan: Plan, claim: Claim | None, *, free: bool
    ) -> Admit:
        return Admit(
            id=call.id,
            party=party(plan.principal),
            quota=plan.tier.daily_requests,
            limits=() if free else plan.limits,
            estimate=0 if free else plan.estimate,
            epoch=plan.epoch,
            lease_s=plan.longest_s + LEASE_SLACK_S,
            facts=_facts(call, plan, claim, self._journal.name),
            claim=claim,
        )


def _entered(
    call: Call, plan: Plan, admitted: Admitted, claim: Claim | None, look: Look
) -> Entered:
    if look.entry is not None:
        return Known(call, plan, admitted, look.entry, look.taken)
    if look.flight is None or look.leading:
        return Held(call, plan, admitted, claim, look.place, look.flight, look.taken)
    held = Held(call, plan, admitted, claim, look.place, taken=look.taken)
    return Following(held, look.flight)


def _hit(call: Call, plan: Plan, claim: Claim | None, entry: Entry) -> Hit:
    """A stored answer's one place in the ledger: admitted and settled at cost 0."""
    return Hit(
        id=call.id,
        party=party(plan.principal),
        quota=plan.tier.daily_requests,
        epoch=plan.epoch,
        facts=settlement.facts(call, plan.model.name, plan.principal),
        charge=Charge(
            saved=entry.cost,
            cached=True,
            prompt_tokens=entry.prompt_tokens,
            completion_tokens=entry.completion_tokens,
            cached_tokens=entry.cached_tokens,
            provider=entry.provider,
            upstream_model=entry.upstream_model,
            latency_ms=int((time.monotonic() - call.started) * 1000),
            source="cache",
        ),
        claim=claim,
        answer=stored.of_entry(call, plan, entry) if claim else None,
    )


def _facts(
    call: Call, plan: Plan, claim: Claim | None, journal: str
) -> dict[str, object]:
    """What the living need to bill this request if our process dies."""
    return {
        **settlement.facts(call, plan.model.name, plan.principal),
        "journal": journal,
        "claim": claim.id if claim else None,
        "unpriced": [one.unpriced for one in plan.candidates],
        "prompt_tokens": max(1, plan.shape.prompt_bytes // 4),
        "routes": [
            [
                one.provider.key,
                one.upstream_model,
                one.rate.input,
                one.rate.output,
            ]
            for one in plan.candidates
        ],
    }


def _check_translation(call: Call, plan: Plan) -> None:
    """A Responses request must be translatable wherever it may be sent."""
    if call.endpoint == "responses" and not all(
        one.provider.kind.responses for one in plan.candidates
    ):
        to_chat(call.body)
