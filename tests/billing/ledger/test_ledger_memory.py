"""What the ledger remembers of past days is bounded, and never taken for nothing spent."""

from typing import Any

import pytest

from billing.ledger import Admitted, BudgetRefused, Ledger, Limit
from billing.ledger import ledger as module
from billing.models import Counter
from tests.fixtures_ledger import Desk, make_party
from valuecanvas.core.db.db_thread import DbThread


async def test_memory__is_full_in_mid_batch__no_budget_counts_as_unspent(
    desk: Desk, ledger: Ledger, db_thread: DbThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SCOPES", 1)
    spent, others = make_party(), [make_party() for _ in range(4)]
    day = await db_thread.run(spend, spent.scopes[0])
    assert isinstance(await ledger.put(asked(desk, spent)), BudgetRefused)
    for other in others:
        # In one batch: a budget that is remembered, and one that is not.
        batch = [ledger.submit(asked(desk, one)) for one in (spent, other)]
        first, second = [await one for one in batch]
        assert isinstance(first, BudgetRefused), day
        assert isinstance(second, Admitted)


def asked(desk: Desk, party: Any) -> Any:
    return desk.admit(party, limits=(Limit(party.scopes[0], "total", 1000),))


def spend(scope: str) -> str:
    """All of a budget, on an earlier day."""
    kind, _, scope_id = scope.partition(":")
    row = Counter(scope=kind, scope_id=scope_id, day="2020-01-01", spent=1000)
    row.key = f"{scope}:{row.day}"
    row.save()
    return str(row.key)
