"""Of several limits that refuse, the one that lasts longest is returned."""

import datetime as dt
import itertools

import pytest

from billing.ledger import BudgetRefused, Check, Limit, QuotaRefused
from billing.ledger.decide import decide
from billing.ledger.types import Books, LockedCounter
from tests.fixtures_ledger import make_party

AT = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
PERIODS = ("day", "month", "total")
CASES = [
    (quota, refusing)
    for quota in (True, False)
    for count in range(4)
    for refusing in itertools.permutations(PERIODS, count)
]


@pytest.mark.parametrize(("quota_used_up", "refusing"), CASES)
def test_decide__several_limits_refuse__the_longest_is_the_answer(
    quota_used_up: bool, refusing: tuple[str, ...]
) -> None:
    party = make_party()
    scope = party.scopes[0]
    limits = tuple(
        Limit(scope, period, 10 if period in refusing else 1000)
        for period in dict.fromkeys((*refusing, *PERIODS))
    )
    books = Books(epoch=1, at=AT)
    books.rows[f"{scope}:{AT.date()}"] = LockedCounter(used=5, spent=10)
    check = Check(party, 5 if quota_used_up else 6, limits, estimate=1, epoch=1)
    [answer], writes = decide([check], books)
    assert not writes
    if longest := max(refusing, key=PERIODS.index, default=""):
        if longest == "day" and quota_used_up:
            assert isinstance(answer, QuotaRefused)
        else:
            assert isinstance(answer, BudgetRefused)
            assert answer.limit.period == longest
    elif quota_used_up:
        assert isinstance(answer, QuotaRefused)
    else:
        assert answer is None


def test_decide__check_of_an_old_epoch__tells_nothing() -> None:
    books = Books(epoch=2, at=AT)
    check = Check(make_party(), quota=0, limits=(), estimate=1, epoch=1)
    assert decide([check], books)[0] == [None]
