"""The errors that a caller gets when the ledger or a minute limit refuses."""

import datetime as dt
import math

from django.conf import settings

from billing.budget_periods import Period
from billing.budget_scopes import BY_LETTER, BudgetScope
from billing.ledger import BudgetRefused, Busy, Mismatch, QuotaRefused, Refusal
from billing.ledger.claims import Unkept
from llm.admission.limit_report import ledger_states, minute_states
from llm.limits.types import LimitKind, LimitRefused, MinuteUse
from llm.replies import headers, limit_headers
from llm.resolve.plan import output_within
from llm.types import Plan
from valuecanvas.core import money
from valuecanvas.core.errors import (
    BudgetExceeded,
    Conflict,
    GatewayError,
    QuotaExceeded,
    TooManyRequests,
    Unprocessable,
)

# Calls that cost no money, by the letter of their subject.
FREE_CALLS = {
    "f": "ratings",
    "j": "calls about jobs, batches and files",
    "r": "look-ups of requests",
}
WHOSE = {one.letter: one.whose for one in BudgetScope} | FREE_CALLS


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


def refusal(answer: Refusal, plan: Plan, use: MinuteUse | None = None) -> GatewayError:
    """The error when quota or money is used up. `use` has the limits a minute."""
    states = ledger_states(answer, plan, use)
    if isinstance(answer, QuotaRefused):
        return QuotaExceeded(
            f"The tier '{plan.tier.name}' allows {answer.quota} requests a day, and "
            "they are used up. The quota resets at 00:00 UTC.",
            headers=headers.quota_refused(answer),
            extra={"upgrade": _upgrade(plan)},
            limits=states,
        )
    left = max(0, answer.limit.micros - answer.spent - answer.reserved)
    cap = output_within(plan, left)
    return BudgetExceeded(
        _too_dear(answer, plan, left, cap),
        headers=headers.budget_refused(answer),
        extra={"upgrade": _upgrade(plan)},
        limits=states,
        max_tokens=cap or None,
    )


def _too_dear(answer: BudgetRefused, plan: Plan, left: int, cap: int) -> str:
    """The message: how much is left, and what would fit now or ever."""
    limit = answer.limit
    period = "fixed-term" if limit.period == Period.DATES else limit.period
    budget = f"The {period} budget of {BY_LETTER[limit.scope[0]].whose}"
    message = (
        f"{budget} has ${money.text(left)} left, and this request may cost "
        f"${money.text(plan.estimate)}."
    )
    if cap:
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


def limit_error(
    refused: LimitRefused, prompt_tokens: int = 0, choices: int = 1
) -> TooManyRequests:
    """The 429 of a minute limit, for a request of such a prompt."""
    message, cap = _limit_message(refused), 0
    if refused.retry_after_s is None:
        cap = max(0, (refused.limit - prompt_tokens) // choices)
        message = _never_fits(refused, cap)
    return TooManyRequests(
        message,
        headers=limit_headers.headers(refused),
        limits=minute_states(refused, dt.datetime.now(dt.UTC)),
        max_tokens=cap or None,
    )


def _never_fits(refused: LimitRefused, cap: int) -> str:
    """The message if waiting cannot help. `cap` tokens of output would fit."""
    message = (
        f"This request can never pass: it may need more than all of the {refused.limit} "
        f"tokens a minute of {WHOSE[refused.subject.name[0]]}."
    )
    if cap > 0:
        return f"{message} A max_tokens of at most {cap} fits."
    return (
        f"{message} Its prompt alone counts for that many: send less of it at once (text, "
        "pictures, sound or files), or ask for a higher limit."
    )


def _limit_message(refused: LimitRefused) -> str:
    whose, limit = WHOSE[refused.subject.name[0]], refused.limit
    wait = f"Try again in {max(1, math.ceil(refused.retry_after_s or 0))} s."
    if refused.kind is LimitKind.CONCURRENT:
        return f"The limit of {whose}, {limit} requests at once, is reached. {wait}"
    if refused.subject.name[0] in FREE_CALLS:
        return f"At most {limit} {whose} a minute. {wait}"
    used = f"The {limit} {refused.kind} a minute of {whose} are used up"
    if refused.left:
        used = f"Too few of the {limit} tokens a minute of {whose} are left"
    return f"{used}. {wait}"
