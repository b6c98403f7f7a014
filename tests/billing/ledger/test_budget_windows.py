"""Budgets of each period and scope: what the ledger counts, and when it refuses."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from billing.accounting import reaper, reconcile
from billing.budget_periods import Period, first_day
from billing.ledger import (
    Admitted,
    BudgetRefused,
    Limit,
    LimitStanding,
    QuotaRefused,
)
from billing.ledger.connection import connect
from billing.ledger.ledger import BatchWriter, undo
from billing.ledger.types import Books, Item, LockedCounter
from billing.ledger.windows import EVER, start, sums
from billing.models import Reservation, Usage
from tests.billing import days
from tests.fixtures_ledger import Desk, make_party, make_settle
from tests.invariants import assert_books_balance, assert_nothing_held, rows

ONE = dt.timedelta(days=1)
NOON = dt.datetime(2026, 5, 13, 12, tzinfo=dt.UTC)  # a Wednesday
TODAY = NOON.date()


@pytest.mark.parametrize(
    ("limit", "first"),
    [
        (Limit("g:", "day", 9), TODAY),
        (Limit("g:", "week", 9), dt.date(2026, 5, 11)),
        (Limit("g:", "month", 9), dt.date(2026, 5, 1)),
        (Limit("g:", "quarter", 9), dt.date(2026, 4, 1)),
        (Limit("g:", "total", 9), EVER),
        (Limit("g:", "dates", 9, starts=TODAY, ends=TODAY), TODAY),
        (Limit("g:", "dates", 9, starts=TODAY - ONE, ends=TODAY + ONE), TODAY - ONE),
        (Limit("g:", "dates", 9, starts=TODAY + ONE, ends=TODAY + ONE), None),
        (Limit("g:", "dates", 9, starts=EVER, ends=TODAY - ONE), None),
        # Not in the period in which it was created.
        (Limit("g:", "month", 9, rollover_since=dt.date(2026, 5, 1)), dt.date(2026, 5, 1)),
        (Limit("g:", "month", 9, rollover_since=dt.date(2026, 4, 30)), dt.date(2026, 4, 1)),
        (Limit("g:", "week", 9, rollover_since=EVER), dt.date(2026, 5, 4)),
        (Limit("g:", "day", 9, rollover_since=EVER), TODAY - ONE),
    ],
)  # fmt: skip
def test_start__of_a_limit__is_its_first_day(limit: Limit, first: dt.date) -> None:
    assert start(limit, TODAY) == first


@pytest.mark.parametrize(
    ("fields", "micros"),
    [
        ({}, 100),
        ({"increase": 7, "increase_until": NOON + dt.timedelta(seconds=1)}, 107),
        ({"increase": 7, "increase_until": NOON}, 100),
        ({"rollover_since": EVER}, 200),
        ({"rollover_since": TODAY}, 100),
    ],
)
def test_sums__increase_and_rollover__add_to_the_limit(
    fields: dict[str, Any], micros: int
) -> None:
    limit = Limit("g:", "month", 100, **fields)
    books = Books(1, NOON, {f"g::{TODAY}": LockedCounter(0, 5, 3)})
    first = start(limit, TODAY)
    assert first is not None
    books.history["g:", first] = 11
    found = sums(limit, books)
    assert found == (micros, 16, 3)
    assert found.left == micros - 19


@pytest.fixture
def put(desk: Desk) -> Any:
    writer = BatchWriter()

    def commit(item: Item) -> Any:
        with connect() as connection:
            return writer.commit(connection, [item])[0]

    return commit


@pytest.mark.parametrize("period", ["week", "month", "quarter"])
def test_limit__spent_before_its_period__counts_only_what_is_inside(
    desk: Desk, put: Any, period: str
) -> None:
    first, party = first_day(period, days.today()), make_party("blue")
    for cost, day in ((900, first - ONE), (600, first)):
        put(make_settle(put(desk.admit(party, estimate=cost)), cost))
        days.move(day)
    limits = (Limit("t:blue", period, 1000),)
    refused = put(desk.admit(party, limits=limits, estimate=401))
    assert isinstance(refused, BudgetRefused)
    assert (refused.spent, refused.reserved) == (600, 0)
    assert isinstance(put(desk.admit(party, limits=limits, estimate=400)), Admitted)
    assert_books_balance()


def test_limit__with_rollover__has_what_the_period_before_left(
    desk: Desk, put: Any
) -> None:
    party = make_party("blue")
    put(make_settle(put(desk.admit(party, estimate=300)), 300))
    days.move(days.yesterday())
    limits = (Limit("t:blue", "day", 1000, rollover_since=EVER),)
    refused = put(desk.admit(party, limits=limits, estimate=1701))
    assert isinstance(refused, BudgetRefused)
    assert (refused.limit.micros, refused.spent) == (2000, 300)
    assert isinstance(put(desk.admit(party, limits=limits, estimate=1700)), Admitted)


def test_limit__dates_that_are_over__refuses_nothing(desk: Desk, put: Any) -> None:
    over = Limit("g:", "dates", 0, starts=EVER, ends=days.yesterday())
    admitted = put(desk.admit(limits=(over,), estimate=100))
    assert isinstance(admitted, Admitted)
    # Nor does it bound what a provider charges beyond the estimate.
    put(make_settle(admitted, 150))
    assert Usage.objects.get(pk=admitted.id).cost_usd * 10**6 == 150


@pytest.mark.parametrize("scope", ["m:gpt", "x:web", "x:night"])
def test_limit__of_a_model_or_tag__bounds_all_customers_together(
    desk: Desk, put: Any, scope: str
) -> None:
    limits = (Limit(scope, "day", 1000),)
    for _ in range(3):
        party = make_party(model="gpt", tags=("night", "web"))
        admitted = put(desk.admit(party, limits=limits, estimate=300))
        put(make_settle(admitted, 250))
    refused = put(desk.admit(party, limits=limits, estimate=251))
    assert isinstance(refused, BudgetRefused)
    assert (refused.limit.scope, refused.spent) == (scope, 750)
    assert_nothing_held()


def test_counters__of_models_and_tags__agree_with_the_ledger(
    desk: Desk, put: Any
) -> None:
    tagged = make_party(model="gpt:4", tags=("a", "b"))
    plain, old = make_party(model="gpt:4", tags=()), make_party()
    put(make_settle(put(desk.admit(tagged)), 70))
    put(make_settle(put(desk.admit(plain)), 30))
    put(make_settle(put(desk.admit(old)), 5))
    held = put(desk.admit(tagged, estimate=9))
    hit = desk.hit(tagged)
    put(hit)
    put(undo(hit, held.day))
    put(desk.hit(plain))
    found = rows(
        "SELECT scope, scope_id, used, spent, reserved FROM billing_counter "
        "WHERE scope IN ('m', 'x') ORDER BY 1, 2"
    )
    assert found == [("m", "gpt:4", 4, 100, 9), ("x", "a", 2, 70, 9), ("x", "b", 2, 70, 9)]  # fmt: skip
    assert_books_balance()
    assert reconcile.check().ok


def test_reconcile__counter_of_a_tag_changed__is_drift(desk: Desk, put: Any) -> None:
    put(make_settle(put(desk.admit(make_party(model="m", tags=("a",)))), 70))
    rows("UPDATE billing_counter SET spent = spent + 1 WHERE scope = 'x' RETURNING 1")
    report = reconcile.check()
    found = {one.invariant.name: one.rows for one in report.findings if not one.ok}
    assert [(one.scope, one.scope_id) for one in found["spent"]] == [("x", "a")]


@pytest.mark.parametrize("tags", [None, (), ("a",)])
def test_reaper__process_died__frees_what_was_counted(
    desk: Desk, put: Any, tags: tuple[str, ...] | None
) -> None:
    party = make_party(model="gpt", tags=tags)
    put(desk.admit(party, lease_s=-1.0))
    assert reaper.reap() == 1
    assert not Reservation.objects.exists()
    row = Usage.objects.get()
    assert (row.model, row.tags) == ("m" if tags is None else "gpt", None if tags is None else [*tags])  # fmt: skip
    assert_nothing_held()


def test_refusal__of_several_budgets__says_where_each_stood(
    desk: Desk, put: Any
) -> None:
    party = make_party("blue")
    put(make_settle(put(desk.admit(party, estimate=50)), 40))
    limits = (
        Limit("g:", "month", 10_000, increase=5, increase_until=NOON + 9999 * ONE),
        Limit("t:blue", "day", 100),
    )
    refused = put(desk.admit(party, limits=limits, estimate=61))
    assert isinstance(refused, BudgetRefused)
    assert refused.budgets == (
        LimitStanding(replace(limits[0], micros=10_005), 40, 0),
        LimitStanding(limits[1], 40, 0),
    )
    assert refused.limit == limits[1]
    by_quota = put(desk.admit(party, limits=limits, quota=1, estimate=1))
    assert isinstance(by_quota, QuotaRefused)
    assert by_quota.budgets == refused.budgets


def test_refusals__of_two_periods__the_longest_is_told(desk: Desk, put: Any) -> None:
    periods = [Period.WEEK, Period.QUARTER, Period.DAY, Period.MONTH]
    limits = [Limit("g:", one, 0) for one in periods]
    far = Limit("g:", "dates", 0, starts=EVER, ends=days.today() + 400 * ONE)
    refused = put(desk.admit(limits=(*limits, far), estimate=1))
    assert refused.limit == far
    refused = put(
        desk.admit(limits=(*limits, far, Limit("g:", "total", 0)), estimate=1)
    )
    assert refused.limit.period == "total"
