"""The keys of the counter rows that a batch needs."""

import datetime as dt
from collections.abc import Iterable, Sequence

from billing.budget_periods import Period
from billing.ledger.types import Admit, Check, Hit, Item, Settle, Unhit
from billing.ledger.windows import start


def past_sums(items: Sequence[Item], today: dt.date) -> set[tuple[str, dt.date]]:
    """The scopes with budgets in a batch that look at past days, each with the first."""
    return {
        (limit.scope, first)
        for item in items
        if isinstance(item, Admit | Settle | Check)
        for limit in (item.admitted if isinstance(item, Settle) else item).limits
        if limit.period != Period.DAY or limit.rollover_since is not None
        if (first := start(limit, today)) is not None and first < today
    }


def keys(items: Sequence[Item], today: dt.date, fresh: Iterable[str] = ()) -> list[str]:
    """The counter rows that a batch needs, in the order in which they are locked.

    `fresh` are scopes whose past days were not read today: yesterday's row is locked
    too, for a batch that began before midnight may still be adding to it.
    """
    yesterday = today - dt.timedelta(days=1)
    wanted = {f"{scope}:{yesterday}" for scope in fresh}
    for item in items:
        if isinstance(item, Admit | Hit | Check):
            wanted.update(f"{scope}:{today}" for scope in item.party.scopes)
        elif isinstance(item, Settle):
            day = item.admitted.day
            wanted.update(f"{scope}:{day}" for scope in item.admitted.party.scopes)
        elif isinstance(item, Unhit):
            wanted.update(f"{scope}:{item.day}" for scope in item.hit.party.scopes)
    return sorted(wanted)
