"""Step 4 of a request: may it be paid?"""

import time

from billing.ledger import (
    Admitted,
    Busy,
    Claim,
    Mismatch,
    QuotaRefused,
    Replay,
    Stale,
)
from llm.admission import ledger_items
from llm.admission.authentication import Authentication
from llm.admission.hold import Reservations
from llm.admission.idempotent_replay import IdempotentReplays
from llm.admission.lookup import Lookup, LookupResult
from llm.admission.quota_denials import QuotaDenials
from llm.admission.refusals import clash, refusal
from llm.request import idempotency
from llm.settlement.exposures import ExposureCounts
from llm.settlement.request_log import passed_over
from llm.types import AdmittedCall, CacheHit, Call, FollowingCall, Plan, ReplayedCall
from valuecanvas.core.errors import GatewayError, LedgerUnavailable

Entered = AdmittedCall | CacheHit | FollowingCall | ReplayedCall


class Admission:
    """Holds quota and money for requests. One per process."""

    def __init__(
        self,
        *,
        authentication: Authentication,
        holder: Reservations,
        lookup: Lookup,
        denials: QuotaDenials,
        first_uses: IdempotentReplays,
        exposures: ExposureCounts,
    ) -> None:
        self._authentication = authentication
        self._holder = holder
        self._lookup = lookup
        self._denials = denials
        self._first_uses = first_uses
        self._exposures = exposures

    async def admit(
        self, call: Call, plan: Plan, look: LookupResult
    ) -> Entered | Stale:
        """Hold what `call` may take; Stale: the plan is older than the configuration.

        Raises GatewayError. What `look` took goes back then, and where it is not needed.
        """
        entered: Entered | Stale | None = None
        try:
            entered = await self._take(call, plan, look)
        finally:
            if not isinstance(entered, AdmittedCall | FollowingCall):
                self._lookup.let_go(look, answered=isinstance(entered, CacheHit))
        if isinstance(entered, AdmittedCall | CacheHit | FollowingCall):
            self._exposures.note_all(plan.chosen.flags)
            passed_over(plan)
        return entered

    async def replay(self, call: Call, error: GatewayError) -> ReplayedCall:
        """What a repeated request was answered, though it would be refused by now.

        Raises `error` if there is none, and another one where the first request is
        under way or had another body.
        """
        if call.idempotency_key is None:
            raise error
        try:
            caller = await self._authentication.identify(call)
        except GatewayError:
            raise error from None
        used = await self._first_uses.of(idempotency.claim(call, caller))
        if used is None:
            raise error
        return await self._first_uses.repeated(used)

    async def _take(
        self, call: Call, plan: Plan, look: LookupResult
    ) -> Entered | Stale:
        """Take quota, and money where a provider is to be paid. Raises GatewayError."""
        claim = idempotency.claim(call, plan.principal)
        asked_at = time.monotonic()
        if look.entry is not None:
            item = ledger_items.hit(call, plan, claim, look.entry)
            answer = await self._holder.put(item)
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
                raise LedgerUnavailable
            return await self._first_uses.repeated(used)
        if isinstance(answer, Stale):
            return answer
        if isinstance(answer, Busy | Mismatch):
            raise clash(answer)
        raise refusal(answer, plan)


def _entered(
    call: Call, plan: Plan, admitted: Admitted, claim: Claim | None, look: LookupResult
) -> Entered:
    if look.entry is not None:
        return CacheHit(call, plan, admitted, look.entry, look.taken)
    if look.flight is None or look.leading:
        return AdmittedCall(
            call, plan, admitted, claim, look.place, look.flight, look.taken
        )
    held = AdmittedCall(call, plan, admitted, claim, look.place, taken=look.taken)
    return FollowingCall(held, look.flight)
