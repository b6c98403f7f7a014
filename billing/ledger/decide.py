"""The decisions of a batch: pure functions of the locked counters."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from billing.budget_periods import last_day
from billing.ledger.types import (
    Admission,
    Admit,
    Admitted,
    Answer,
    Books,
    BudgetRefused,
    Busy,
    Check,
    Claim,
    Claimed,
    Hit,
    Item,
    Limit,
    Mismatch,
    Note,
    Peek,
    Probe,
    QuotaRefused,
    Refusal,
    Replay,
    Settle,
    Settled,
    Stale,
    Stored,
    Unhit,
)
from billing.ledger.windows import limit_standing, sums
from billing.ledger.writes import Writes, answer_columns, usage_row


def decide(items: Sequence[Item], books: Books) -> tuple[list[Answer], Writes]:
    """Answer every item in order. An admission never counts on money that a
    settlement of the same batch releases: that settlement may come too late.
    """
    writes = Writes()
    return [_DECISIONS[type(item)](item, books, writes) for item in items], writes


def _admit(item: Admit, books: Books, writes: Writes) -> Admission:
    refusal = _unusable(item, books, writes) or _limit_refusal(item, books)
    if refusal is not None:
        return refusal
    _claim(item, None, writes)
    writes.held.append(
        {
            "id": item.id,
            "customer_id": item.party.customer_id,
            "team": item.party.team,
            "key": item.party.key,
            "day": books.today,
            "estimate": item.estimate,
            "lease_s": item.lease_s,
            "epoch": item.epoch,
            "facts": item.facts,
        }
    )
    return _take(item, item.estimate, item.limits, books, writes)


def _hit(item: Hit, books: Books, writes: Writes) -> Admission:
    units = 0 if item.charge.refund else 1
    refusal = _unusable(item, books, writes)
    if refusal is None and units:
        refusal = _quota_refusal(item, books)
    if refusal is not None:
        return refusal
    _claim(item, item.answer, writes)
    admitted = _take(item, 0, (), books, writes, units)
    row = usage_row(admitted, item.facts, item.epoch, item.charge, item.charge.cost)
    writes.billed.append({**row, "direct": True})
    return admitted


def _unhit(item: Unhit, _: Books, writes: Writes) -> None:
    """Undo a hit by a correction: rows of the ledger are never deleted."""
    hit, request_id = item.hit, str(item.hit.id)
    writes.undone.append({"id": request_id, "correction": str(item.id)})
    if hit.claim is not None:
        claim = {"id": hit.claim.id, "request_id": request_id, "done": True}
        writes.freed.append(claim)
    writes.moves.append(
        {
            "reservation": request_id,
            "scopes": hit.party.scopes,
            "day": item.day,
            "used": -1,
            "spent": 0,
            "reserved": 0,
        }
    )


def _note(item: Note, _: Books, writes: Writes) -> None:
    row = usage_row(item.admitted, item.facts, item.epoch, item.charge, 0)
    writes.billed.append({**row, "direct": True})


def _epoch(_item: Peek | Probe, books: Books, _: Writes) -> int:
    return books.epoch


def _check(item: Check, books: Books, _: Writes) -> Refusal | None:
    return _limit_refusal(item, books) if item.epoch == books.epoch else None


def _unusable(item: Admit | Hit, books: Books, writes: Writes) -> Admission | None:
    """The answer if `item` is stale or a repeat; else None."""
    if item.epoch != books.epoch:
        return Stale(books.epoch)
    return _used_before(item.claim, books, writes)


def _limit_refusal(item: Admit | Check, books: Books) -> Refusal | None:
    """The longest-lasting refusal of quota and budgets, if there is any."""
    quota = _quota_refusal(item, books)
    looked = [(one, found) for one in item.limits if (found := sums(one, books))]
    over = [(one, found) for one, found in looked if found.left < item.estimate]
    if quota is None and not over:
        return None
    budgets = tuple(limit_standing(*one) for one in looked)
    refusals: list[Refusal] = [replace(quota, budgets=budgets)] if quota else []
    used = books.row(item.party.scopes[0], books.today).used
    for one, found in over:
        limit = replace(one, micros=found.micros)
        refusals.append(
            BudgetRefused(
                limit, found.spent, found.reserved, books.at, used, item.quota, budgets
            )
        )
    # The quota is per day; of equal refusals the first one is returned.
    return max(refusals, key=partial(_last_day, today=books.today))


def _last_day(refusal: Refusal, today: dt.date) -> dt.date:
    if isinstance(refusal, QuotaRefused):
        return today
    limit = refusal.limit
    return limit.ends or last_day(limit.period, today) or dt.date.max


def _quota_refusal(item: Admit | Check | Hit, books: Books) -> QuotaRefused | None:
    used = books.row(item.party.scopes[0], books.today).used
    return QuotaRefused(used, item.quota, books.at) if used >= item.quota else None


def _used_before(
    claim: Claim | None, books: Books, writes: Writes
) -> Replay | Busy | Mismatch | None:
    """The result of the claim's first use; None: this is the first."""
    if claim is None:
        return None
    found = books.claims.get(claim.id) or writes.taken.get(claim.id)
    if found is None:
        return None
    if found.fingerprint != claim.fingerprint:
        return Mismatch()
    return Replay(found.request_id) if found.done else Busy()


def _claim(item: Admit | Hit, answer: Stored | None, writes: Writes) -> None:
    if item.claim is None:
        return
    claim, request_id = item.claim, str(item.id)
    done = answer is not None
    writes.taken[claim.id] = Claimed(claim.fingerprint, request_id, done)
    row = {
        "id": claim.id,
        "customer_id": item.party.customer_id,
        "fingerprint": claim.fingerprint,
        "request_id": request_id,
        "done": done,
    }
    writes.claimed.append(row if answer is None else {**row, **answer_columns(answer)})


def _take(
    item: Admit | Hit,
    estimate: int,
    limits: tuple[Limit, ...],
    books: Books,
    writes: Writes,
    units: int = 1,
) -> Admitted:
    """Take `units` of quota, and `estimate` of money, from every scope."""
    for scope in item.party.scopes:
        row = books.row(scope, books.today)
        row.used += units
        row.reserved += estimate
    writes.moves.append(
        {
            "scopes": item.party.scopes,
            "day": books.today,
            "used": units,
            "spent": 0,
            "reserved": estimate,
        }
    )
    return Admitted(
        id=item.id,
        party=item.party,
        day=books.today,
        at=books.at,
        estimate=estimate,
        used=books.row(item.party.scopes[0], books.today).used,
        quota=item.quota,
        limits=limits,
    )


def _settle(item: Settle, books: Books, writes: Writes) -> Settled:
    admitted, charge = item.admitted, item.charge
    cost = 0 if charge is None else _payable(charge.cost, admitted, books)
    refunded = charge is None or charge.refund
    reservation = str(admitted.id)
    writes.ended.append(reservation)
    writes.moves.append(
        {
            "reservation": reservation,
            "scopes": admitted.party.scopes,
            "day": admitted.day,
            "used": -1 if refunded else 0,
            "spent": cost,
            "reserved": -admitted.estimate,
        }
    )
    if charge is not None:
        row = usage_row(admitted, item.facts, item.epoch, charge, cost)
        writes.billed.append(row)
    if item.claim is not None:
        claim = {"id": item.claim.id, "request_id": reservation}
        if item.answer is None:
            writes.freed.append({**claim, "done": False})
        else:
            writes.kept.append({**claim, **answer_columns(item.answer)})
    return Settled(first=True, cost=cost)


def _payable(cost: int, admitted: Admitted, books: Books) -> int:
    """The part of `cost` that the caller pays: past the estimate, only what fits.

    Spent never passes a limit, whatever the provider says that it counted.
    """
    excess = cost - admitted.estimate
    if excess <= 0 or not admitted.limits:
        return cost
    if admitted.day != books.today:
        # The day's counter row is no longer locked: charge the estimate.
        return admitted.estimate
    extra = max(0, min(excess, most_left(admitted.limits, books, excess)))
    for scope in admitted.party.scopes:
        books.row(scope, books.today).spent += extra
    return admitted.estimate + extra


def most_left(limits: Iterable[Limit], books: Books, otherwise: int) -> int:
    """What the fullest of the limits in force has left; `otherwise` if none is."""
    found = (sums(one, books) for one in limits)
    return min((one.left for one in found if one), default=otherwise)


_DECISIONS: dict[type, Callable[[Any, Books, Writes], Any]] = {
    Admit: _admit,
    Hit: _hit,
    Settle: _settle,
    Unhit: _unhit,
    Note: _note,
    Peek: _epoch,
    Probe: _epoch,
    Check: _check,
}
