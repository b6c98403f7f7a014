"""The errors that a caller gets when the ledger refuses."""

from django.conf import settings

from billing.budget_scopes import BY_LETTER
from billing.ledger import BudgetRefused, Busy, Mismatch, QuotaRefused, Refusal
from billing.ledger.claims import Unkept
from llm.replies import headers
from llm.resolve.plan import output_within
from llm.types import Plan
from valuecanvas.core import money
from valuecanvas.core.errors import (
    BudgetExceeded,
    Conflict,
    GatewayError,
    QuotaExceeded,
    Unprocessable,
)


def clash(answer: Busy | Mismatch | Unkept) -> GatewayError:
    """The error for an idempotency key that was used before and has no answer now."""
    if isinstance(answer, Busy):
        return Conflict(
            "The first request with this Idempotency-Key is still under way.",
            param="Idempotency-Key",
            code="idempotency_key_in_use",
            headers={"Retry-After": "1"},
        )
    if isinstance(answer, Unkept):
        return Conflict(
            f"The first request with this Idempotency-Key ({answer.request_id}) was "
            "answered, but its answer was too large to be kept. It is not carried out "
            "again; use a new key to send it again.",
            param="Idempotency-Key",
            code="idempotency_answer_not_kept",
            headers={
                "x-should-retry": "false",
                "x-valuecanvas-original-request-id": answer.request_id,
            },
        )
    return Unprocessable(
        "This Idempotency-Key was used with another body; use a new key.",
        param="Idempotency-Key",
        code="idempotency_key_reused",
    )


def refusal(answer: Refusal, plan: Plan) -> GatewayError:
    """The error when quota or money is used up."""
    if isinstance(answer, QuotaRefused):
        return QuotaExceeded(
            f"The tier '{plan.tier.name}' allows {answer.quota} requests a day, and "
            "they are used up. The quota resets at 00:00 UTC.",
            headers=headers.quota_refused(answer),
            extra={"upgrade": _upgrade(plan)},
        )
    return BudgetExceeded(
        _too_dear(answer, plan),
        headers=headers.budget_refused(answer),
        extra={"upgrade": _upgrade(plan)},
    )


def _too_dear(answer: BudgetRefused, plan: Plan) -> str:
    """The message: how much is left, and what would fit now or ever."""
    limit = answer.limit
    left = max(0, limit.micros - answer.spent - answer.reserved)
    budget = f"The {limit.period} budget of {BY_LETTER[limit.scope[0]].whose}"
    message = (
        f"{budget} has ${money.text(left)} left, and this request may cost "
        f"${money.text(plan.estimate)}."
    )
    if cap := output_within(plan, left):
        return f"{message} A max_tokens of at most {cap} fits."
    if not output_within(plan, limit.micros):
        return (
            f"{message} It can never pass: its prompt alone may cost more than the whole "
            f"budget of ${money.text(limit.micros)}. Send a shorter prompt, or ask for "
            "a larger budget."
        )
    return f"{message} Its prompt alone may cost that much: send a shorter prompt."


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
