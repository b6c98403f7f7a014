"""Midnight, and budgets of a month or for ever: sums over days."""

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from billing.ledger import Admitted, BudgetRefused, Limit, Settle, Stale
from billing.ledger.connection import connect
from billing.ledger.ledger import BatchWriter
from billing.ledger.types import Answer, Item
from billing.ledger.windows import EVER
from tests.billing import days, sessions
from tests.fixtures_billing import make_tier
from tests.fixtures_ledger import Desk, make_party, make_settle
from tests.invariants import assert_books_balance, rows


@pytest.fixture
def connection(desk: Desk) -> Iterator[psycopg.Connection]:
    with connect() as connection:
        yield connection


@pytest.fixture
def writer() -> BatchWriter:
    return BatchWriter()


@pytest.fixture
def one(writer: BatchWriter, connection: psycopg.Connection) -> "One":
    return One(writer, connection)


class One:
    """Commits single items by one writer."""

    def __init__(self, writer: BatchWriter, connection: psycopg.Connection) -> None:
        self.writer = writer
        self.connection = connection

    def __call__(self, item: Item) -> Answer:
        return self.writer.commit(self.connection, [item])[0]

    def spend(self, desk: Desk, limit: Limit, cost: int, day: dt.date) -> None:
        """Spend `cost` of the limit's scope on an earlier day."""
        admitted = self(desk.admit(make_party("blue"), estimate=cost))
        assert isinstance(admitted, Admitted)
        self(make_settle(admitted, cost))
        days.move(day)


def test_lock__clerk_is_a_day_behind__takes_the_databases_day(
    desk: Desk, one: One
) -> None:
    one.writer.today = days.yesterday()
    one.writer._history["t:blue", EVER] = 99
    one.writer._read_at["t:blue", EVER] = 0.0
    admitted = one(desk.admit(make_party("blue")))
    assert isinstance(admitted, Admitted)
    assert admitted.day == one.writer.today == days.today()
    assert one.writer._history == {}
    assert rows("SELECT day FROM billing_counter WHERE used > 0 GROUP BY 1") == [
        (admitted.day,)
    ]
    assert_books_balance()


def test_total_budget__spent_on_earlier_days__counts_them(desk: Desk, one: One) -> None:
    limit = Limit("t:blue", "total", 1000)
    one.spend(desk, limit, 600, days.yesterday())
    one.spend(desk, limit, 100, days.yesterday() - dt.timedelta(days=800))
    refused = one(desk.admit(make_party("blue"), limits=(limit,), estimate=301))
    assert isinstance(refused, BudgetRefused)
    assert (refused.spent, refused.reserved) == (700, 0)
    fits = one(desk.admit(make_party("blue"), limits=(limit,), estimate=300))
    assert isinstance(fits, Admitted)
    assert_books_balance()


def test_month_budget__spent_before_the_first__counts_this_month_only(
    desk: Desk, one: One
) -> None:
    first = days.today().replace(day=1)
    limit = Limit("t:blue", "month", 1000)
    one.spend(desk, limit, 900, first - dt.timedelta(days=1))
    one.spend(desk, limit, 600, first)
    refused = one(desk.admit(make_party("blue"), limits=(limit,), estimate=401))
    assert isinstance(refused, BudgetRefused)
    assert (refused.spent, refused.reserved) == (600, 0)
    fits = one(desk.admit(make_party("blue"), limits=(limit,), estimate=400))
    assert isinstance(fits, Admitted)


def test_day_budget__spent_yesterday__begins_anew(desk: Desk, one: One) -> None:
    limit = Limit("t:blue", "day", 1000)
    one.spend(desk, limit, 1000, days.yesterday())
    fits = one(desk.admit(make_party("blue"), limits=(limit,), estimate=1000))
    assert isinstance(fits, Admitted)


def held_since_yesterday(desk: Desk, one: One) -> Admitted:
    held = one(desk.admit(make_party("blue"), estimate=600))
    assert isinstance(held, Admitted)
    days.move(days.yesterday())
    return held


def test_recall__past_day_has_shrunk__is_read_again_before_refusing(
    desk: Desk, one: One
) -> None:
    limits = (Limit("t:blue", "total", 1000),)
    held = held_since_yesterday(desk, one)
    assert isinstance(
        one(desk.admit(make_party("blue"), limits=limits, estimate=300)), Admitted
    )
    with connect() as other:
        BatchWriter().commit(other, [Settle(held, {}, desk.epoch, None)])
    one.writer._read_at["t:blue", EVER] -= 1
    fits = one(desk.admit(make_party("blue"), limits=limits, estimate=700))
    assert isinstance(fits, Admitted)
    assert_books_balance()


def test_recall__read_a_moment_ago__is_believed(desk: Desk, one: One) -> None:
    limits = (Limit("t:blue", "total", 1000),)
    one.spend(desk, limits[0], 600, days.yesterday())
    assert isinstance(
        one(desk.admit(make_party("blue"), limits=limits, estimate=100)), Admitted
    )
    before = dict(one.writer._read_at)
    assert isinstance(
        one(desk.admit(make_party("blue"), limits=limits, estimate=100)), Admitted
    )
    assert one.writer._read_at == before


def test_lock__batch_of_yesterday_still_under_way__is_waited_for_and_counted(
    desk: Desk, one: One
) -> None:
    """Midnight: another process holds money of the day that has just ended."""
    limits = (Limit("t:blue", "total", 1000),)
    one.spend(desk, limits[0], 10, days.yesterday())
    item = desk.admit(make_party("blue"), limits=limits, estimate=500)
    late = "UPDATE billing_counter SET reserved = 600 WHERE key = %s"
    with sessions.connect() as other, ThreadPoolExecutor() as pool:
        other.execute("BEGIN")
        other.execute(late, [f"t:blue:{days.yesterday()}"])
        asked = pool.submit(one, item)
        sessions.wait_for_blocked(other)
        other.execute("COMMIT")
    refused = asked.result()
    assert isinstance(refused, BudgetRefused)
    assert (refused.spent, refused.reserved) == (610, 0)


def test_lock__past_days_known_already__leaves_yesterday_alone(
    desk: Desk, one: One
) -> None:
    limits = (Limit("t:blue", "total", 1000),)
    one(desk.admit(make_party("blue"), limits=limits))
    with sessions.connect() as other:
        other.execute("BEGIN")
        lock = "SELECT key FROM billing_counter WHERE day < %s FOR UPDATE"
        assert other.execute(lock, [days.today()]).fetchall()
        admitted = one(desk.admit(make_party("blue"), limits=limits))
    assert isinstance(admitted, Admitted)


def test_lock__configuration_changed_while_it_waited__is_stale(
    desk: Desk, one: One
) -> None:
    item = desk.admit(make_party("blue"))
    one(desk.admit(item.party))
    with sessions.locked_counters() as other, ThreadPoolExecutor() as pool:
        asked = pool.submit(one, item)
        sessions.wait_for_blocked(other)
        make_tier()
        other.execute("COMMIT")
    assert asked.result() == Stale(desk.epoch + 1)


def test_recall__very_many_scopes_remembered__forgets_them(
    desk: Desk, one: One
) -> None:
    limits = (Limit("t:blue", "total", 1000),)
    one.writer._read_at = {(f"c:{number}", EVER): 0.0 for number in range(50_001)}
    one(desk.admit(make_party("blue"), limits=limits))
    assert set(one.writer._read_at) == {("t:blue", EVER)}


def test_settle__month_budget_near_its_end__caps_by_the_months_sum(
    desk: Desk, one: One
) -> None:
    limit = Limit("t:blue", "total", 1000)
    one.spend(desk, limit, 600, days.yesterday())
    admitted = one(desk.admit(make_party("blue"), limits=(limit,), estimate=300))
    assert isinstance(admitted, Admitted)
    settled = one(make_settle(admitted, 500))
    assert getattr(settled, "cost", None) == 400
    assert_books_balance()
