"""Reports where each limit stood that was looked at for a refused request."""

import datetime as dt
from functools import lru_cache

from billing.budget_periods import midnight
from billing.budget_scopes import BY_LETTER, BudgetScope
from billing.ledger import BudgetRefused, LimitStanding, QuotaRefused, Refusal
from llm.limits.types import Hold, LimitKind, LimitRefused, MinuteUse
from llm.replies.headers import reset_of
from llm.types import Plan
from valuecanvas.core.errors import USD, LimitState

CUSTOMER = BudgetScope.CUSTOMER.kind


def ledger_states(
    answer: Refusal, plan: Plan, use: MinuteUse | None
) -> tuple[LimitState, ...]:
    """The daily quota, the budgets, and the limits a minute, which were passed."""
    if isinstance(answer, QuotaRefused) and not answer.budgets and use is None:
        return (_quota(answer, plan, refused=True),)
    spent_up = answer.limit if isinstance(answer, BudgetRefused) else None
    return (
        _quota(answer, plan, refused=spent_up is None),
        *(_budget(one, answer.at, one.limit == spent_up) for one in answer.budgets),
        *_passed(use),
    )


def minute_states(refused: LimitRefused, at: dt.datetime) -> tuple[LimitState, ...]:
    """The limit that refused, then those of the caller's other subjects."""
    found = [_minute(refused, at, refused=True)]
    for one in refused.others:
        if isinstance(one, Hold):
            found += _hold(one)
        else:
            found.append(_minute(one, at, refused=False))
    return tuple(found)


def _minute(answer: LimitRefused, at: dt.datetime, *, refused: bool) -> LimitState:
    wait = answer.retry_after_s
    return LimitState(
        *_subject(answer.subject.name),
        *_name(answer.kind),
        limit=answer.limit,
        used=answer.limit - answer.left,
        resets_at=None if wait is None else at + dt.timedelta(seconds=wait),
        refused=refused,
    )


def _quota(
    answer: QuotaRefused | BudgetRefused, plan: Plan, *, refused: bool
) -> LimitState:
    return LimitState(
        CUSTOMER,
        str(plan.principal.customer_id),
        "requests_per_day",
        "requests",
        limit=answer.quota,
        used=answer.used,
        resets_at=_end_of(answer.at.date()),
        refused=refused,
    )


@lru_cache(maxsize=4)
def _end_of(day: dt.date) -> dt.datetime:
    """The end of a UTC day: kept, as a flood of refusals asks for the same one."""
    return midnight(day + dt.timedelta(days=1))


def _budget(found: LimitStanding, at: dt.datetime, refused: bool) -> LimitState:
    limit = found.limit
    letter, _, owner = limit.scope.partition(":")
    return LimitState(
        BY_LETTER[letter].kind,
        owner,
        f"budget_{limit.period}",
        USD,
        limit=limit.micros,
        used=found.spent,
        held=found.reserved,
        resets_at=_reset(reset_of(limit, at), at),
        refused=refused,
    )


def _reset(wait_s: int | None, at: dt.datetime) -> dt.datetime | None:
    found = None if wait_s is None else at + dt.timedelta(seconds=wait_s)
    # Whole seconds: `reset_of` cuts them off.
    return found and (found + dt.timedelta(seconds=1)).replace(microsecond=0)


def _passed(use: MinuteUse | None) -> list[LimitState]:
    return [state for hold in (use.holds if use else ()) for state in _hold(hold)]


def _hold(hold: Hold) -> list[LimitState]:
    """A subject's limits, with this request counted."""
    found = []
    for kind in LimitKind:
        left = hold.remaining(kind)
        if left is not None:
            subject = _subject(hold.subject.name)
            used = left.limit - left.left
            found.append(
                LimitState(*subject, *_name(kind), limit=left.limit, used=used)
            )
    return found


def _subject(name: str) -> tuple[str, str]:
    """The scope and its owner, of 'k:<prefix>' or, for free calls, 'f:k:<prefix>'."""
    letter, owner = name.split(":")[-2:]
    return BY_LETTER[letter].kind, owner


def _name(kind: LimitKind) -> tuple[str, str]:
    if kind is LimitKind.CONCURRENT:
        return "requests_at_once", "concurrent"
    return f"{kind}_per_minute", kind.value
