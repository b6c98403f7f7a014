"""Asks the ledger to hold quota and money for a request."""

import asyncio
from dataclasses import replace

from django.conf import settings

from billing.ledger import UNFIT, Admit, BudgetRefused, Claim, Hit, Ledger
from billing.ledger import Admission as LedgerAnswer
from llm.admission import ledger_items
from llm.journal.journal import Journal, JournalFull
from llm.metering.tokenizer import Tokenizer
from llm.resolve.plan import highest_cost, prompt_within
from llm.types import Call, Plan
from valuecanvas.core.db.group_commit import BatchUnavailable
from valuecanvas.core.errors import LedgerUnavailable


class Reservations:
    """Asks the ledger. One per process."""

    def __init__(self, ledger: Ledger, journal: Journal, tokenizer: Tokenizer) -> None:
        self._ledger = ledger
        self._journal = journal
        self._tokenizer = tokenizer

    async def hold(
        self, call: Call, plan: Plan, claim: Claim | None, *, free: bool
    ) -> tuple[Plan, LedgerAnswer]:
        """Hold what the plan may cost by its bytes; if a budget is too small for that,
        count the prompt and ask once more. Raises Unavailable.
        """
        name = self._journal.name
        item = ledger_items.admit(call, plan, claim, free=free, journal=name)
        answer = await self.put(item)
        if not isinstance(answer, BudgetRefused):
            return plan, answer
        closer, fits = await self.recount(call, plan, answer)
        if fits:
            item = ledger_items.admit(call, closer, claim, free=free, journal=name)
            answer = await self.put(item)
        return closer, answer

    async def recount(
        self, call: Call, plan: Plan, refused: BudgetRefused
    ) -> tuple[Plan, bool]:
        """The plan with its prompt counted, and whether the budget is enough."""
        left = refused.limit.micros - refused.spent - refused.reserved
        if left <= 0:
            return plan, False
        enough = prompt_within(plan, refused.limit.micros)
        shape = await self._tokenizer.count(
            call.endpoint, plan.body, plan.shape, enough
        )
        estimate = highest_cost(plan.candidates, shape, plan.max_output)
        return replace(plan, shape=shape, estimate=estimate), estimate <= left

    async def put(self, item: Admit | Hit) -> LedgerAnswer:
        """The ledger's answer, in time. Raises Unavailable."""
        if not self._journal.is_ready():
            raise JournalFull
        try:
            async with asyncio.timeout(settings.LLM_ADMIT_TIMEOUT_S):
                answer: LedgerAnswer = await self._ledger.put(item)
        except (BatchUnavailable, TimeoutError, *UNFIT) as error:
            raise LedgerUnavailable from error
        return answer
