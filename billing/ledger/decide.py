"""The decisions of a batch: pure functions of the locked counters."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from billing.ledger.types import (
    Admit,
    Admitted,
    Answer,
    Books,
    BudgetRefused,
    Charge,
    Item,
    Limit,
    Peek,
    QuotaRefused,
    Settle,
    Settled,
    Stale,
)
from valuecanvas.core import money


class Writes:
    """What one batch writes, as the JSON document of sql.WRITE."""

    def __init__(self) -> None:
        self.held: list[dict[str, Any]] = []
        self.ended: list[str] = []
        self.billed: list[dict[str, Any]] = []
        self.moves: list[dict[str, Any]] = []

    def document(self) -> dict[str, list[Any]]:
        return {
            "held": self.held,
            "ended": self.ended,
            "billed": self.billed,
            "moves": self.moves,
        }

    def __bool__(self) -> bool:
        return bool(self.held or self.ended)


def decide(items: Sequence[Item], books: Books) -> tuple[list[Answer], Writes]:
    """Answer every item in order. An admission never counts on money that a
    settlement of the same batch sets free: that settlement may find itself late.
    """
    writes = Writes()
    answers: list[Answer] = []
    for item in items:
        if isinstance(item, Admit):
            answers.append(_admit(item, books, writes))
        elif isinstance(item, Settle):
            answers.append(_settle(item, books, writes))
        elif isinstance(item, Peek):
            answers.append(books.epoch)
    return answers, writes


def _admit(item: Admit, books: Books, writes: Writes) -> Answer:
    if item.epoch != books.epoch:
        return Stale(books.epoch)
    scopes = item.party.scopes
    quota_row = books.row(scopes[0], books.today)
    if quota_row.used >= item.quota:
        return QuotaRefused(quota_row.used, item.quota, books.at)
    for limit in item.limits:
        spent, reserved = standing(limit, books)
        if spent + reserved + item.estimate > limit.micros:
            return BudgetRefused(limit, spent, reserved, books.at)
    for scope in scopes:
        row = books.row(scope, books.today)
        row.used += 1
        row.reserved += item.estimate
        writes.moves.append(
            {
                "scope": scope,
                "day": books.today,
                "used": 1,
                "spent": 0,
                "reserved": item.estimate,
            }
        )
    writes.held.append(
        {
            "id": str(item.id),
            "customer_id": str(item.party.customer_id),
            "team": item.party.team,
            "key": item.party.key,
            "day": books.today,
            "estimate": item.estimate,
            "lease_s": item.lease_s,
            "epoch": item.epoch,
            "facts": item.facts,
        }
    )
    return Admitted(
        id=item.id,
        party=item.party,
        day=books.today,
        at=books.at,
        estimate=item.estimate,
        used=quota_row.used,
        quota=item.quota,
        limits=item.limits,
    )


def standing(limit: Limit, books: Books) -> tuple[int, int]:
    """(spent, reserved) of the limit's scope in its period; history counts as spent."""
    row = books.row(limit.scope, books.today)
    earlier = books.history.get((limit.scope, limit.period), 0)
    return row.spent + earlier, row.reserved


def _settle(item: Settle, books: Books, writes: Writes) -> Settled:
    admitted, charge = item.admitted, item.charge
    cost = 0 if charge is None else _payable(charge.cost, admitted, books)
    refunded = charge is None or charge.refund
    reservation = str(admitted.id)
    writes.ended.append(reservation)
    for scope in admitted.party.scopes:
        writes.moves.append(
            {
                "reservation": reservation,
                "scope": scope,
                "day": admitted.day,
                "used": -1 if refunded else 0,
                "spent": cost,
                "reserved": -admitted.estimate,
            }
        )
    if charge is not None:
        writes.billed.append(_usage_row(item, charge, cost))
    return Settled(first=True, cost=cost)


def _payable(cost: int, admitted: Admitted, books: Books) -> int:
    """The part of `cost` that the caller pays: past the estimate, only what fits.

    Spent never passes a limit, whatever the provider says that it counted.
    """
    excess = cost - admitted.estimate
    if excess <= 0 or not admitted.limits:
        return cost
    if admitted.day != books.today:
        # The day's row is not locked for its budgets any more: pay what was held.
        return admitted.estimate
    room = min(limit.micros - sum(standing(limit, books)) for limit in admitted.limits)
    extra = max(0, min(excess, room))
    for scope in admitted.party.scopes:
        books.row(scope, books.today).spent += extra
    return admitted.estimate + extra


def _usage_row(item: Settle, charge: Charge, cost: int) -> dict[str, Any]:
    admitted = item.admitted
    marks = list(charge.marks)
    if cost < charge.cost:
        marks.append("capped")
    if charge.refund:
        marks.append("refunded")
    return {
        **item.facts,
        "id": str(admitted.id),
        "customer_id": str(admitted.party.customer_id),
        "team": admitted.party.team,
        "key": admitted.party.key,
        "day": admitted.day,
        "epoch": item.epoch,
        "cost_usd": money.text(cost),
        "provider_cost_usd": money.text(charge.provider_cost),
        "prompt_tokens": charge.prompt_tokens,
        "completion_tokens": charge.completion_tokens,
        "cached_tokens": charge.cached_tokens,
        "provider": charge.provider,
        "upstream_model": charge.upstream_model,
        "status": charge.status,
        "error_code": charge.error_code,
        "latency_ms": charge.latency_ms,
        "ttft_ms": charge.ttft_ms,
        "attempts": charge.attempts,
        "source": charge.source,
        "marks": "{" + ",".join(marks) + "}",
    }


def keys(items: Sequence[Item], today: dt.date) -> list[str]:
    """The counter rows that a batch needs, in the order in which they are locked."""
    wanted: set[str] = set()
    for item in items:
        if isinstance(item, Admit):
            wanted.update(f"{scope}:{today}" for scope in item.party.scopes)
        elif isinstance(item, Settle):
            day = item.admitted.day
            wanted.update(f"{scope}:{day}" for scope in item.admitted.party.scopes)
    return sorted(wanted)
