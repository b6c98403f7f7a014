"""Builds the ledger items that admit a request."""

from billing.ledger import Admit, Claim, Hit
from llm.cache.entry import Entry
from llm.replies import stored
from llm.settlement import settlement
from llm.settlement.charge import entry_charge
from llm.settlement.token_count import count_prompt
from llm.types import Call, Plan

# Added to the model's total timeout: settling may wait for the database.
LEASE_SLACK_S = 60.0


def admit(
    call: Call, plan: Plan, claim: Claim | None, *, free: bool, journal: str
) -> Admit:
    """A reservation; `free` where another request pays for the answer."""
    return Admit(
        id=call.id,
        party=plan.party,
        quota=plan.tier.daily_requests,
        limits=() if free else plan.limits,
        estimate=0 if free else plan.estimate,
        epoch=plan.epoch,
        lease_s=plan.longest_s + LEASE_SLACK_S,
        facts=_facts(call, plan, claim, journal),
        claim=claim,
    )


def hit(call: Call, plan: Plan, claim: Claim | None, entry: Entry) -> Hit:
    """A stored answer, admitted and settled in one item at cost 0."""
    return Hit(
        id=call.id,
        party=plan.party,
        quota=plan.tier.daily_requests,
        epoch=plan.epoch,
        facts=settlement.usage_facts(call, plan),
        charge=entry_charge(call, entry, refund=not plan.tier.hits_take_quota),
        claim=claim,
        answer=settlement.limit_answer(
            stored.from_entry(call, plan, entry) if claim else None
        ),
    )


def _facts(
    call: Call, plan: Plan, claim: Claim | None, journal: str
) -> dict[str, object]:
    """What other processes need to bill this request if ours dies."""
    return {
        **settlement.usage_facts(call, plan),
        "journal": journal,
        "claim": claim.id if claim else None,
        "unpriced": [one.unpriced for one in plan.candidates],
        "prompt_tokens": count_prompt(plan),
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
