"""Steps 1, 2 and 4 of a request: who calls, how it is served, may it be paid."""

import asyncio
import time

import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from billing.callers import Callers
from billing.ledger import (
    Admit,
    Admitted,
    BudgetRefused,
    Ledger,
    Peek,
    QuotaRefused,
    Stale,
)
from billing.principal import Principal
from llm import checks, headers, settlement
from llm.live_config import LiveConfig
from llm.resolve import party, resolve
from llm.snapshot import Snapshot
from llm.translate import to_chat
from llm.types import Call, Held, Plan
from valuecanvas.core import money
from valuecanvas.core.batch import BatchUnavailable
from valuecanvas.core.errors import (
    BudgetExceeded,
    GatewayError,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    QuotaExceeded,
    Unavailable,
)

log = structlog.get_logger("llm.admission")
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


class Admission:
    """Admits calls one by one; what it decides on is never older than the commit."""

    def __init__(self, ledger: Ledger, config: LiveConfig, callers: Callers) -> None:
        self._ledger = ledger
        self._config = config
        self._callers = callers

    async def identify(self, call: Call) -> Principal:
        """The caller, or the user it acts for. Raises GatewayError."""
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

    async def admit(self, call: Call) -> Held:
        """Hold quota and money for `call`. Raises GatewayError."""
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
            except DatabaseError as error:
                raise unavailable() from error
            answer = await self._put(call, plan)
            if isinstance(answer, Admitted):
                return Held(call, plan, answer)
            if isinstance(answer, Stale):
                await self._refresh(answer.epoch)
                continue
            raise _refusal(answer, plan)
        raise Unavailable(
            "The configuration is changing too fast; try again shortly.",
            headers={"Retry-After": "1"},
        )

    async def _refresh(self, epoch: int) -> None:
        try:
            await self._config.refresh(epoch)
        except DatabaseError as error:
            raise unavailable() from error

    async def _put(
        self, call: Call, plan: Plan
    ) -> Admitted | Stale | QuotaRefused | BudgetRefused:
        model = plan.model
        longest = model.total_stream_s if plan.shape.stream else model.total_s
        item = Admit(
            id=call.id,
            party=party(plan.principal),
            quota=plan.tier.daily_requests,
            limits=plan.limits,
            estimate=plan.estimate,
            epoch=plan.epoch,
            lease_s=longest + LEASE_SLACK_S,
            facts=_facts(call, plan),
        )
        try:
            async with asyncio.timeout(ADMIT_WITHIN_S):
                answer: Admitted | Stale | QuotaRefused | BudgetRefused
                answer = await self._ledger.put(item)
        except (BatchUnavailable, TimeoutError) as error:
            raise unavailable() from error
        return answer


def _facts(call: Call, plan: Plan) -> dict[str, object]:
    """What the reaper needs to bill this request if our process dies."""
    rate = plan.candidates[0].rate
    return {
        **settlement.facts(call, plan.model.name, plan.principal),
        "started": time.time(),
        "provider": rate.provider,
        "upstream_model": rate.upstream_model,
        "prompt_tokens": max(1, plan.shape.prompt_bytes // 4),
        "input_rate": rate.input,
    }


def _check_translation(call: Call, plan: Plan) -> None:
    """A Responses request must be translatable wherever it may be sent."""
    if call.endpoint == "responses" and not all(
        one.provider.kind.responses for one in plan.candidates
    ):
        to_chat(call.body)


def _refusal(answer: QuotaRefused | BudgetRefused, plan: Plan) -> GatewayError:
    if isinstance(answer, QuotaRefused):
        return QuotaExceeded(
            f"The tier '{plan.tier.name}' allows {answer.quota} requests a day, and "
            "they are used up. The quota starts anew at 00:00 UTC.",
            headers=headers.quota_refused(answer),
            extra={"upgrade": _upgrade(plan)},
        )
    return BudgetExceeded(
        f"The {answer.limit.period} budget of {_whose(answer.limit.scope)} has "
        f"${money.text(max(0, answer.limit.micros - answer.spent - answer.reserved))} "
        f"left, and this request may cost ${money.text(plan.estimate)}. A smaller "
        "max_tokens may fit.",
        headers=headers.budget_refused(answer),
        extra={"upgrade": _upgrade(plan)},
    )


def _whose(scope: str) -> str:
    names = {"g": "everyone", "t": "your team", "c": "this user", "k": "this API key"}
    return names[scope[0]]


def _upgrade(plan: Plan) -> dict[str, object] | None:
    """The next tier, its limits, and where to get it."""
    if plan.upgrade is None:
        return None
    return {
        "tier": plan.upgrade.key,
        "name": plan.upgrade.name,
        "daily_requests": plan.upgrade.daily_requests,
        "max_output_tokens": plan.upgrade.max_output_tokens,
        "url": settings.UPGRADE_URL,
    }
