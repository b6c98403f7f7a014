"""Steps 1, 2 and 4 of a request: who calls, how it is served, may it be paid."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial

from django.db import Error as DatabaseError

from billing.auth.act_as import user_to_bill
from billing.auth.callers import Callers
from billing.auth.principal import Principal
from billing.ledger import (
    Admitted,
    BudgetRefused,
    Busy,
    Claim,
    Ledger,
    Mismatch,
    Peek,
    QuotaRefused,
    Replay,
    Stale,
)
from llm.admission import hold, ledger_items
from llm.admission.hold import Holder, unavailable
from llm.admission.idempotent_replay import FirstUses
from llm.admission.limit_check import LimitCheck
from llm.admission.lookup import Look, Looker
from llm.admission.quota_denials import Denials
from llm.admission.refusals import clash, refusal
from llm.cache.cache import Cache
from llm.coalesce.flights import Flights
from llm.configuration.live import LiveConfig
from llm.configuration.snapshot import Snapshot
from llm.journal.journal import Journal
from llm.limits.limiter import Limiter
from llm.metering.tokenizer import Tokenizer
from llm.request import idempotency
from llm.request import shape as checks
from llm.resolve import checks as translation
from llm.resolve import prompt_field as asked_prompt
from llm.resolve.choose import choose
from llm.resolve.plan import crowd, resolve
from llm.resolve.prompt_field import Asked
from llm.types import Call, Following, Held, Known, Plan, Repeated, Shape
from prompts.rendering.render import BrokenPrompt
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.db.group_commit import BatchUnavailable
from valuecanvas.core.errors import (
    GatewayError,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    TooManyRequests,
    Unavailable,
)

# What a snapshot that is behind may be to blame for.
REFUSALS = (
    BrokenPrompt,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    Unavailable,
)
Entered = Held | Known | Following | Repeated
# Configuration that changes faster than this many tries is an operator's script.
TRIES = 8


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
        tokenizer: Tokenizer,
        db: DbThread,
    ) -> None:
        self._first_uses = FirstUses(db)
        self._ledger = ledger
        self._config = config
        self._callers = callers
        self._holder = Holder(ledger, journal, tokenizer)
        self._looker = Looker(cache, flights, limiter)
        self._denials = denials
        self._limit_check = LimitCheck(ledger)
        self._tokenizer = tokenizer
        self._probe: asyncio.Task[None] | None = None

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
        billed = user_to_bill(principal.scopes, call.on_behalf, call.user)
        if billed is None:
            return principal
        return await self._callers.acting_for(principal, billed, param=call.named_in)

    async def snapshot(self) -> Snapshot:
        """The configuration as it is committed now, or else the last one loaded.

        For answers without admission. Raises Unavailable if none was ever loaded.
        """
        if self._config.loaded and self.looks_again():
            return self._config.current
        try:
            return await self._committed()
        except Unavailable:
            if self._config.loaded:
                return self._config.current
            raise

    def looks_again(self) -> bool:
        """Whether the database is away. Then one looks whether it is back: nobody waits."""
        if self._ledger.healthy:
            return False
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._look_again())
        return True

    async def _look_again(self) -> None:
        with suppress(Unavailable):
            await self._committed()

    async def _committed(self) -> Snapshot:
        """The configuration as it is committed now. Raises Unavailable."""
        try:
            async with asyncio.timeout(hold.ADMIT_WITHIN_S):
                epoch = await self._ledger.put(Peek())
                return await self._config.refresh(epoch)
        except (BatchUnavailable, TimeoutError, DatabaseError) as error:
            raise unavailable() from error

    async def admit(self, call: Call) -> Entered:
        """Hold quota and money for `call`, or answer it from what is stored.

        Raises GatewayError.
        """
        asked = asked_prompt.parse(call.endpoint, call.body)
        # With a prompt, only its words make the request whole.
        shape = None if asked else await checks.shape_of(call, call.body)
        if not self._config.loaded:
            await self.snapshot()
        for _ in range(TRIES):
            snapshot = self._config.current
            try:
                plan = await self._plan(call, asked, shape, snapshot)
            except REFUSALS:
                # Refused by a snapshot that may be behind: look before refusing.
                if (await self._committed()).epoch == snapshot.epoch:
                    if (earlier := await self._answered_before(call)) is None:
                        raise
                    return earlier
                continue
            entered = await self._enter(call, plan)
            if not isinstance(entered, Stale):
                return entered
            # What was let go must be gone before the next try asks for it again.
            await self._looker.gone()
            await self._refresh(entered.epoch)
        raise Unavailable(
            "The configuration is changing too fast; try again shortly.",
            headers={"Retry-After": "1"},
        )

    async def _answered_before(self, call: Call) -> Repeated | None:
        """What a repeated request was answered, though it would be refused by now.

        Raises GatewayError: the first one is under way, or had another body.
        """
        if call.idempotency_key is None:
            return None
        try:
            principal = await self.identify(call)
        except GatewayError:
            return None
        used = await self._first_uses.of(idempotency.claim(call, principal))
        return None if used is None else await self._first_uses.repeated(used)

    async def _plan(
        self, call: Call, asked: Asked | None, shape: Shape | None, snapshot: Snapshot
    ) -> Plan:
        """How `call` is to be served by `snapshot`. Raises GatewayError."""
        principal = await self.identify(call)
        body, chosen = choose(call, asked, principal, snapshot)
        if shape is None or body is not call.body:
            shape = await checks.shape_of(call, body)
        plan_by = partial(
            resolve, call.endpoint,
            principal=principal, snapshot=snapshot, body=body, chosen=chosen,
        )  # fmt: skip
        plan = await checks.look_through(call, plan_by, shape=shape)
        if most := crowd(plan):
            closer = await self._tokenizer.closer(call.endpoint, body, shape, most)
            # For room alone: what is held, and may be billed, stays bounded by bytes.
            shape = replace(shape, prompt_tokens=closer.prompt_tokens)
            plan = await checks.look_through(call, plan_by, shape=shape)
        await checks.look_through(call, translation.check, call.endpoint, plan)
        return plan

    async def _refresh(self, epoch: int) -> None:
        try:
            async with asyncio.timeout(hold.ADMIT_WITHIN_S):
                await self._config.refresh(epoch)
        except (DatabaseError, TimeoutError) as error:
            raise unavailable() from error

    async def _enter(self, call: Call, plan: Plan) -> Entered | Stale:
        """Look whether an answer is stored, then take quota and money."""
        try:
            denied = await self._denials.standing(plan.principal.customer_id)
            if denied is not None and plan.tier.hits_take_quota:
                raise refusal(denied, plan)
            look = await self._looker.look(call, plan)
            if denied is not None and look.entry is None:
                self._looker.let_go(look)
                raise refusal(denied, plan)
        except TooManyRequests as error:
            if (earlier := await self._answered_before(call)) is None:
                raise await self._longest(call, plan, error) from None
            return earlier
        entered: Entered | Stale | None = None
        try:
            entered = await self._take(call, plan, look)
        finally:
            if not isinstance(entered, Held | Following):
                self._looker.let_go(look, answered=isinstance(entered, Known))
        return entered

    async def _longest(
        self, call: Call, plan: Plan, error: TooManyRequests
    ) -> GatewayError:
        """Of the limits that refuse, the error of the one that lasts longest.

        `error` is a minute's, unless it says that asking again is of no use.
        """
        if error.headers.get("x-should-retry") == "false":
            return error
        answer = await self._limit_check.refusal(plan)
        if isinstance(answer, BudgetRefused):
            plan, fits = await self._holder.counted(call, plan, answer)
            answer = None if fits else answer
        return error if answer is None else refusal(answer, plan)

    async def _take(self, call: Call, plan: Plan, look: Look) -> Entered | Stale:
        """Take quota, and money where a provider is to be paid. Raises GatewayError."""
        claim = idempotency.claim(call, plan.principal)
        asked_at = time.monotonic()
        if look.entry is not None:
            answer = await self._holder.put(
                ledger_items.hit(call, plan, claim, look.entry)
            )
        else:
            following = look.flight is not None and not look.leading
            plan, answer = await self._holder.hold(call, plan, claim, free=following)
        if isinstance(answer, QuotaRefused):
            customer = plan.principal.customer_id
            await self._denials.note(customer, answer, asked_at)
        if isinstance(answer, Admitted):
            return _entered(call, plan, answer, claim, look)
        if isinstance(answer, Replay):
            used = await self._first_uses.of(claim)
            if used is None:
                raise unavailable()
            return await self._first_uses.repeated(used)
        if isinstance(answer, Stale):
            return answer
        if isinstance(answer, Busy | Mismatch):
            raise clash(answer)
        raise refusal(answer, plan)


def _entered(
    call: Call, plan: Plan, admitted: Admitted, claim: Claim | None, look: Look
) -> Entered:
    if look.entry is not None:
        return Known(call, plan, admitted, look.entry, look.taken)
    if look.flight is None or look.leading:
        return Held(call, plan, admitted, claim, look.place, look.flight, look.taken)
    held = Held(call, plan, admitted, claim, look.place, taken=look.taken)
    return Following(held, look.flight)
