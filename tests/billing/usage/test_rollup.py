"""Rollups are the sums of the ledger's rows, whatever comes when, to the micro-dollar."""

import datetime as dt
import random
import threading
from collections import defaultdict
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from billing import tasks
from billing.accounting import reconcile
from billing.models import Customer, LateDay, RollupState, Usage, UsageHour
from billing.usage import partitions, rollup, weeks
from billing.usage.levels import DIMENSIONS, LEVELS, WEEKS
from billing.usage.sums import ACCURACY, SUMMED, quantile
from tests.admin.rows import make_usage
from tests.clock import earlier_today
from tests.fixtures_billing import make_customer
from tests.tables import empty_tables
from tests.tampering import tampering
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()
DRAWN = st.fixed_dictionaries(
    {
        # Of this week, and of those that are over.
        "ago": st.integers(0, 3 * 24 * 60) | st.integers(0, 24 * 24 * 60),
        "who": st.integers(0, 2),
        "cost": st.integers(-5, 10**9),
        "model": st.sampled_from(["a", "b"]),
        "prompt_version": st.sampled_from([None, 1, 2]),
        "status": st.sampled_from(["ok", "ok", "error", "correction"]),
        "cached": st.booleans(),
        "tags": st.sampled_from([None, [], ["x"], ["x", "y"]]),
        "latency_ms": st.integers(0, 10**6),
    }
)


def make_row(customers: list[Customer], drawn: dict[str, Any]) -> Usage:
    fields = dict(drawn)
    customer = customers[fields.pop("who")]
    at = NOW - dt.timedelta(minutes=fields.pop("ago"))
    cost = Decimal(fields.pop("cost")).scaleb(-6)
    if fields["status"] == "correction":
        fields["corrects"] = uuid7()
    return make_usage(
        customer, created_at=at, cost_usd=cost, saved_usd=-cost, variant="v", **fields
    )


def everything() -> dict[tuple[Any, ...], tuple[Any, ...]]:
    names = ("level", "start", *DIMENSIONS)
    rows = UsageHour.objects.values_list(*names, *SUMMED, "latency")
    found = {}
    for row in rows:
        key = tuple(str(one) for one in row[: len(names)])
        assert key not in found
        found[key] = row[len(names) :]
    return found


def assert_equals_the_rows() -> None:
    state = RollupState.objects.get()
    assert state.until
    until, weeks_until = state.until, state.weeks_until or dt.date.min
    wanted: dict[tuple[int, dt.date], list[Any]] = defaultdict(
        lambda: [0, Decimal(0), 0]
    )
    for row in Usage.objects.filter(created_at__lt=until):
        day = row.created_at.date()
        places = [(one.number, day) for one in LEVELS]
        if day < weeks_until:
            places += [(one.number, weeks.monday(day)) for one in WEEKS.values()]
        for place in places:
            sums = wanted[place]
            sums[0] += 1
            sums[1] += row.cost_usd
            sums[2] += row.status == "ok"
    found: dict[tuple[int, dt.date], list[Any]] = defaultdict(
        lambda: [0, Decimal(0), 0]
    )
    for one in UsageHour.objects.all():
        sums = found[one.level, one.start.date()]
        sums[0] += one.requests + one.corrections
        sums[1] += one.cost_usd
        sums[2] += sum(bucket & 0xFFFFFFFF for bucket in one.latency)
    assert found == wanted


@hypothesis.settings(
    derandomize=True,
    max_examples=12,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.lists(DRAWN, max_size=6), min_size=1, max_size=4))
def test_rollup__any_rows_late_or_not__equals_the_rows_and_a_rebuild(
    batches: list[list[dict[str, Any]]],
) -> None:
    empty_tables()
    customers = [make_customer() for _ in range(3)]
    make_usage(customers[0], created_at=NOW - dt.timedelta(days=1))
    for batch in batches:
        for drawn in batch:
            make_row(customers, drawn)
        rollup.catch_up()
        assert_equals_the_rows()
    summed = everything()
    rollup.rebuild()
    assert everything() == summed
    names = {one.invariant.name: one for one in reconcile.check(40).findings}
    assert names["rolled_up_cost"].ok
    assert names["rolled_up_rows"].ok


def test_catch_up__empty_ledger__has_nothing() -> None:
    assert rollup.catch_up() is None
    assert rollup.rebuild() == 0


def test_catch_up__twice__adds_each_row_once() -> None:
    make_usage(created_at=NOW - dt.timedelta(minutes=5))
    tasks.rollup_usage()
    first = everything()
    tasks.rollup_usage()
    assert everything() == first


def test_catch_up__a_crash_between_the_statements__leaves_all_or_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_usage(created_at=NOW - dt.timedelta(minutes=5))
    monkeypatch.setattr(rollup, "_INSERTS", [rollup._INSERTS[0], "SELECT 1 / 0"])
    with pytest.raises(Exception, match="division by zero"):
        rollup.catch_up()
    assert not UsageHour.objects.exists()
    monkeypatch.undo()
    rollup.catch_up()
    assert_equals_the_rows()


def test_catch_up__a_transaction_is_open__leaves_its_rows_for_later() -> None:
    make_usage(created_at=timezone.now() - dt.timedelta(minutes=2))
    began, end = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            customer = make_customer()
            began.set()
            end.wait(30)
            with connection.cursor() as cursor:
                cursor.execute("SELECT now()")
                at = cursor.fetchone()[0]
            make_usage(customer, created_at=at)
        connections.close_all()

    thread = threading.Thread(target=write)
    thread.start()
    began.wait(30)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(xact_start) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND datname = current_database()"
        )
        oldest = cursor.fetchone()[0]
    until = rollup.catch_up()
    end.set()
    thread.join()
    assert until is not None
    assert until < oldest
    assert not LateDay.objects.filter(day=oldest.date()).exists() or until < oldest
    rollup.catch_up()
    assert_equals_the_rows()


def test_catch_up__while_others_write__misses_none() -> None:
    """Late rows too: they are noted in the transaction that writes them."""
    make_usage(created_at=NOW - dt.timedelta(days=1))
    customers = [make_customer() for _ in range(2)]

    def write(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(15):
            ago = dt.timedelta(seconds=dice.choice([15, 3600, 90_000]))
            make_usage(dice.choice(customers), created_at=timezone.now() - ago)
        connections.close_all()

    threads = [threading.Thread(target=write, args=[seed]) for seed in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        rollup.catch_up()
    for thread in threads:
        thread.join()
    rollup.catch_up()
    assert not LateDay.objects.exists()
    assert_equals_the_rows()
    assert Usage.objects.count() == 46


def test_reconcile__a_sum_was_changed__is_drift_until_a_rebuild(capsys: Any) -> None:
    row = make_usage(created_at=earlier_today())
    rollup.catch_up()
    UsageHour.objects.filter(level=18).update(cost_usd=1, requests=7)
    findings = {one.invariant.name: one for one in reconcile.check(3).findings}
    assert findings["rolled_up_rows"].drifted == 1
    [drift] = findings["rolled_up_cost"].rows
    assert (drift.expected, drift.found) == (int(row.cost_usd * 10**6), 10**6)
    call_command("rollup_usage", "--rebuild", "--from", f"{row.created_at:%Y-%m-%d}")
    assert f"{row.created_at:%Y-%m-%d}: summed up" in capsys.readouterr().out
    assert_equals_the_rows()


def test_command__without_rebuild__catches_up(capsys: Any) -> None:
    call_command("rollup_usage")
    assert "nothing" in capsys.readouterr().out
    make_usage(created_at=NOW - dt.timedelta(minutes=5))
    call_command("rollup_usage")
    assert UsageHour.objects.exists()
    with pytest.raises(CommandError, match="--rebuild"):
        call_command("rollup_usage", "--from", "2026-01-01")


def test_late_row__of_an_archived_day__leaves_its_sums(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_usage(created_at=NOW - dt.timedelta(days=2))
    rollup.catch_up()
    before = everything()
    horizon = (NOW.date(), uuid7())
    monkeypatch.setattr(partitions, "horizon", lambda: horizon)
    make_usage(created_at=NOW - dt.timedelta(days=2))
    rollup.catch_up()
    assert everything() == before
    assert not LateDay.objects.exists()


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_sketch__any_quantile__is_within_its_accuracy(share: float) -> None:
    dice = random.Random(3)
    found = sorted(round(dice.lognormvariate(6, 1)) + 1 for _ in range(60))
    customer = make_customer()
    for ms in found:
        make_usage(customer, latency_ms=ms, created_at=NOW - dt.timedelta(minutes=5))
    rollup.catch_up()
    sums = UsageHour.objects.get(level=13)
    buckets = [(one >> 32, one & 0xFFFFFFFF) for one in sums.latency]
    exact = found[int(share * (len(found) - 1))]
    assert quantile(buckets, share) == pytest.approx(exact, rel=ACCURACY, abs=1)
    assert quantile([], share) is None
    with tampering():
        Usage.objects.all().delete()
