"""Step 4 of a request: reserve quota and money for it."""

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
from llm.settlement.request_log import count_passed_over
from llm.types import AdmittedCall, CacheHit, Call, FollowingCall, Plan, ReplayedCall
from valuecanvas.core.errors import GatewayError, LedgerUnavailable

Entered = AdmittedCall | CacheHit | FollowingCall | ReplayedCall


class Admission:
    """Holds quota and money for requests. One per process."""

    def __init__(
        self,
        *,
        authentication: Authentication,
        reservations: Reservations,
        lookup: Lookup,
        denials: QuotaDenials,
        replays: IdempotentReplays,
        exposures: ExposureCounts,
    ) -> None:
        self._authentication = authentication
        self._reservations = reservations
        self._lookup = lookup
        self._denials = denials
        self._replays = replays
        self._exposures = exposures

    async def admit(
        self, call: Call, plan: Plan, found: LookupResult
    ) -> Entered | Stale:
        """Reserve what `call` may take; Stale: the plan is older than the configuration.

        Raises GatewayError. What `found` took is released then, and if it is not needed.
        """
        entered: Entered | Stale | None = None
        try:
            entered = await self._take(call, plan, found)
        finally:
            if not isinstance(entered, AdmittedCall | FollowingCall):
                self._lookup.release(found, answered=isinstance(entered, CacheHit))
        if isinstance(entered, AdmittedCall | CacheHit | FollowingCall):
            self._exposures.note_all(plan.chosen.flags)
            count_passed_over(plan)
        return entered

    async def replay(self, call: Call, error: GatewayError) -> ReplayedCall:
        """The first answer to a repeated request, though it would be refused by now.

        Raises `error` if there is none, and another one where the first request is
        under way or had another body.
        """
        if call.idempotency_key is None:
            raise error
        try:
            caller = await self._authentication.identify(call)
        except GatewayError:
            raise error from None
        used = await self._replays.find(idempotency.claim(call, caller))
        if used is None:
            raise error
        return await self._replays.replay(call, caller, used)

    async def _take(
        self, call: Call, plan: Plan, found: LookupResult
    ) -> Entered | Stale:
        """Take quota, and money where a provider is to be paid. Raises GatewayError."""
        claim = idempotency.claim(call, plan.principal)
        asked_at = time.monotonic()
        if found.entry is not None:
            item = ledger_items.hit(call, plan, claim, found.entry)
            answer = await self._reservations.put(item)
        else:
            free = found.call is not None and not found.leading
            plan, answer = await self._reservations.hold(call, plan, claim, free=free)
        if isinstance(answer, QuotaRefused):
            customer = plan.principal.customer_id
            await self._denials.note(customer, answer, asked_at)
        if isinstance(answer, Admitted):
            return _entered(call, plan, answer, claim, found)
        if isinstance(answer, Replay):
            used = await self._replays.find(claim)
            if used is None:
                raise LedgerUnavailable
            return await self._replays.replay(call, plan.principal, used)
        if isinstance(answer, Stale):
            return answer
        if isinstance(answer, Busy | Mismatch):
            raise clash(answer)
        raise refusal(answer, plan, found.minute_use)


def _entered(
    call: Call, plan: Plan, admitted: Admitted, claim: Claim | None, found: LookupResult
) -> Entered:
    if found.entry is not None:
        return CacheHit(call, plan, admitted, found.entry, found.minute_use)
    if found.call is None or found.leading:
        return AdmittedCall(
            call, plan, admitted, claim, found.place, found.call, found.minute_use
        )
    held = AdmittedCall(
        call, plan, admitted, claim, found.place, minute_use=found.minute_use
    )
    return FollowingCall(held, found.call)
