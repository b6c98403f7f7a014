"""The check of the books: silent after honest traffic, and it names what is planted."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from billing.accounting import invariants, reaper, reconcile
from billing.ledger import Admitted, Settle, commit_now
from billing.models import Counter, Reservation, Usage, UsageHour
from billing.usage.sums import SUMMED
from tests.fixtures_ledger import COLUMNS, Desk, make_party, make_settle
from tests.tampering import tampering
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = {
    *("spent", "used", "reserved", "ended_once", "overdue", "corrections"),
    *("rolled_up_cost", "rolled_up_rows"),
}


def admitted(desk: Desk, **fields: Any) -> Admitted:
    [answer] = commit_now([desk.admit(**fields)])
    assert isinstance(answer, Admitted)
    return answer


def broken() -> dict[str, reconcile.Finding]:
    report = reconcile.check()
    found = {one.invariant.name: one for one in report.findings if not one.ok}
    assert report.ok is not bool(found)
    return found


@pytest.fixture
def traffic(desk: Desk) -> list[Admitted]:
    """Billed, refunded, never begun, reaped and still under way: a row of each kind."""
    party = make_party("a-team", "a-key")
    some = [admitted(desk, party=party) for _ in range(4)]
    some.append(admitted(desk))
    commit_now([make_settle(some[0], 70)])
    commit_now([make_settle(some[1], 0, refund=True, status="error")])
    commit_now([Settle(some[2], COLUMNS, 1, None)])
    reaped = Reservation.objects.filter(pk=some[3].id)
    reaped.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    assert reaper.reap() == 1
    return some


def test_check__honest_traffic__no_drift(traffic: list[Admitted]) -> None:
    report = reconcile.check()
    assert report.ok
    assert {one.invariant.name for one in report.findings} == NAMES
    checked = {one.invariant.name: one.checked for one in report.findings}
    # Everyone, the team, the key, and two customers.
    assert checked["spent"] == checked["used"] == checked["reserved"] == 5
    assert checked["overdue"] == checked["ended_once"] == 1
    assert report.first == report.last - dt.timedelta(days=1)


def test_check__nothing_there__no_drift() -> None:
    assert reconcile.check(None).ok


def plant_spent(some: list[Admitted]) -> None:
    move("t:a-team", spent=1)


def plant_used(some: list[Admitted]) -> None:
    move("k:a-key", used=1)


def plant_reserved(some: list[Admitted]) -> None:
    move(f"c:{some[4].party.customer_id}", reserved=1)


def plant_row_gone(some: list[Admitted]) -> None:
    with tampering():
        Usage.objects.filter(pk=some[0].id).delete()


def plant_counter_gone(some: list[Admitted]) -> None:
    Counter.objects.get(scope="g").delete()


def plant_reservation_gone(some: list[Admitted]) -> None:
    Reservation.objects.all().delete()


def plant_unmarked(some: list[Admitted]) -> None:
    with tampering():
        Usage.objects.filter(pk=some[1].id).update(marks=[])


def plant_twice(some: list[Admitted]) -> None:
    copy_of(some[0], pk=some[4].id, cost_usd=0, marks=["refunded"], day=some[0].day)


def plant_overdue(some: list[Admitted]) -> None:
    late = timezone.now() - dt.timedelta(seconds=invariants.OVERDUE_S + 5)
    Reservation.objects.update(lease_until=late)


def plant_orphan(some: list[Admitted]) -> None:
    copy_of(some[0], pk=uuid7(), cost_usd=0, status="correction", corrects=uuid7())


def plant_sum_of_nothing(some: list[Admitted]) -> None:
    yesterday = timezone.now() - dt.timedelta(days=1)
    sums = {**dict.fromkeys(SUMMED, 0), "requests": 1, "cost_usd": 1}
    UsageHour.objects.create(id=uuid7(), level=11, start=yesterday, **sums)


def plant_correction_of_another_customer(some: list[Admitted]) -> None:
    copy_of(
        some[0],
        pk=uuid7(),
        cost_usd=0,
        status="correction",
        corrects=some[0].id,
        customer_id=some[4].party.customer_id,
    )


def move(scope: str, **amounts: int) -> None:
    kind, _, scope_id = scope.partition(":")
    row = Counter.objects.get(scope=kind, scope_id=scope_id)
    for name, amount in amounts.items():
        setattr(row, name, getattr(row, name) + amount)
    row.save()


def copy_of(one: Admitted, **fields: Any) -> None:
    row = Usage.objects.get(pk=one.id)
    for name, value in fields.items():
        setattr(row, name, value)
    row.save(force_insert=True)


PLANTS: dict[Callable[[list[Admitted]], None], tuple[set[str], int]] = {
    # What breaks, and in how many rows of the first of them by name.
    plant_spent: ({"spent"}, 1),
    plant_used: ({"used"}, 1),
    plant_reserved: ({"reserved"}, 1),
    plant_row_gone: ({"spent", "used"}, 4),
    plant_counter_gone: ({"spent", "used", "reserved"}, 1),
    plant_reservation_gone: ({"used", "reserved"}, 2),
    plant_unmarked: ({"used"}, 4),
    plant_twice: ({"ended_once"}, 1),
    plant_overdue: ({"overdue"}, 1),
    plant_orphan: ({"corrections"}, 1),
    plant_correction_of_another_customer: ({"corrections"}, 1),
    plant_sum_of_nothing: ({"rolled_up_cost", "rolled_up_rows"}, 1),
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_check__drift_planted__found_and_named(
    traffic: list[Admitted], plant: Callable[[list[Admitted]], None]
) -> None:
    names, rows = PLANTS[plant]
    assert not broken()
    plant(traffic)
    found = broken()
    assert set(found) == names
    finding = found[min(names)]
    assert finding.drifted == len(finding.rows) == rows
    assert all(row.expected != row.found for row in finding.rows)


def test_check__a_drift__says_where_and_how_much(traffic: list[Admitted]) -> None:
    plant_spent(traffic)
    [row] = broken()["spent"].rows
    [expected] = Counter.objects.filter(scope="c", spent__gt=0).values_list(
        "spent", flat=True
    )
    assert (row.scope, row.scope_id) == ("t", "a-team")
    assert row.day == traffic[0].day.isoformat()
    assert (row.expected, row.found) == (expected, expected + 1)


def test_check__overdue__names_the_reservation(traffic: list[Admitted]) -> None:
    plant_overdue(traffic)
    [row] = broken()["overdue"].rows
    assert row.row == str(traffic[4].id)
    assert row.found >= invariants.OVERDUE_S + 5


def test_check__lease_just_over__is_not_overdue_yet(traffic: list[Admitted]) -> None:
    late = timezone.now() - dt.timedelta(seconds=1)
    Reservation.objects.update(lease_until=late)
    assert not broken()


def test_check__more_drift_than_is_kept__counted_in_full(
    traffic: list[Admitted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "MOST_ROWS", 2)
    plant_row_gone(traffic)
    finding = broken()["spent"]
    assert (finding.drifted, len(finding.rows)) == (4, 2)


def test_check__an_earlier_day__only_in_a_longer_span(
    traffic: list[Admitted],
) -> None:
    day = traffic[0].day - dt.timedelta(days=5)
    Counter.objects.create(
        key=f"g::{day}", scope="g", scope_id="", day=day, spent=3, used=1
    )
    assert reconcile.check(5).ok
    assert not reconcile.check(6).ok
    assert not reconcile.check(None).ok


def test_check__counters_purged_after_the_retention__no_drift(
    traffic: list[Admitted], settings: LazySettings
) -> None:
    old = traffic[0].day - dt.timedelta(days=settings.USAGE_RETENTION_DAYS + 1)
    copy_of(traffic[0], pk=uuid7(), cost_usd=0, day=old)
    assert reconcile.check(None).ok
    copy_of(traffic[0], pk=uuid7(), day=old)
    assert not reconcile.check(None).ok


def test_check__correction__counts_as_money_but_not_as_a_request(
    traffic: list[Admitted],
) -> None:
    row = {"pk": uuid7(), "status": "correction", "corrects": traffic[0].id}
    copy_of(traffic[0], **row)
    assert set(broken()) == {"spent"}


def test_check__traffic_between_its_statements__no_drift(
    traffic: list[Admitted], desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One snapshot: what is committed while the check reads is not half seen."""
    settled: list[Any] = []

    def settling(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql == reconcile.ENDED_TWICE and not settled:
            settled.extend(commit_now([make_settle(traffic[4], 50)]))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(settling):
        report = reconcile.check()
    assert settled[0].first
    assert report.ok
    checked = {one.invariant.name: one.checked for one in report.findings}
    assert checked["overdue"] == 1  # gone by now, but there in the snapshot
    assert reconcile.check().ok


def test_check__statement_too_slow__given_up(
    traffic: list[Admitted], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = (("SELECT pg_sleep(30)", reconcile.OVERDUE, ("overdue",)),)
    monkeypatch.setattr(reconcile, "_STATEMENTS", slow)
    with pytest.raises(DatabaseError, match="statement timeout"):
        reconcile.check(timeout_s=1)
    connection.ensure_connection()
    assert connection.get_autocommit()


def test_check__inside_a_transaction__refused() -> None:
    with transaction.atomic(), pytest.raises(RuntimeError):
        reconcile.check()


def test_traffic__of_these_tests__has_a_row_of_each_kind(
    traffic: list[Admitted],
) -> None:
    statuses = Usage.objects.values_list("status", flat=True)
    assert sorted(statuses) == ["abandoned", "error", "ok"]
    assert Reservation.objects.count() == 1


def test_plants__of_these_tests__break_every_invariant() -> None:
    assert set().union(*(names for names, _ in PLANTS.values())) == NAMES
