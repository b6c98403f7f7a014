"""Sums of weeks: a report that reads them equals one that reads days, and the rows."""

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from billing.accounting import reconcile
from billing.budget_periods import midnight
from billing.models import RollupState, Usage, UsageHour
from billing.usage import partitions, reports, rollup, weeks
from billing.usage.levels import WEEKS
from billing.usage.reports import UsageQuery
from billing.usage.weeks import WEEK, LevelSpan, cover_days
from tests.admin.rows import make_usage
from tests.fixtures_billing import make_customer
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.django_db(transaction=True)
DAY = dt.timedelta(days=1)
NOW = timezone.now()
MONDAY = weeks.monday(NOW.date())
# One pair of dimensions for each level that has weeks.
PAIRS = {
    15: ("customer", "model"),
    16: ("key", "prompt_version"),
    17: ("customer", "tag"),
    18: ("model", "tag"),
}
KEYS: dict[str, Callable[[Usage], list[str]]] = {
    "customer": lambda row: [str(row.customer_id)],
    "key": lambda row: [row.key],
    "model": lambda row: [row.model],
    "prompt_version": lambda row: [f"{row.prompt_key}@{row.prompt_version or 0}"],
    "tag": lambda row: row.tags or [""],
}


@pytest.fixture
def summed() -> Iterator[None]:
    """Requests of five weeks and of this one, in the sums."""
    dice = random.Random(14)
    customers = [make_customer() for _ in range(3)]
    for _ in range(150):
        make_usage(
            dice.choice(customers),
            created_at=NOW - dt.timedelta(minutes=dice.randrange(5, 37 * 24 * 60)),
            model=dice.choice("ab"),
            prompt_key="p",
            prompt_version=dice.choice([None, 1, 2]),
            tags=dice.choice([None, ["x"], ["x", "y"]]),
            cost_usd=Decimal(dice.randrange(10**9)).scaleb(-6),
            latency_ms=dice.randrange(10**5),
        )
    rollup.catch_up()
    yield


def figures(query: UsageQuery) -> tuple[Any, ...]:
    report = reports.run(query)
    return {row.keys: row.figures for row in report.rows}, report.total


def raw_costs(query: UsageQuery) -> dict[tuple[str, ...], Decimal]:
    found: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    first, second = (KEYS[name] for name in query.group_by)
    for row in Usage.objects.all():
        if query.start <= row.created_at.date() < query.end:
            for one in first(row):
                for other in second(row):
                    found[one, other] += row.cost_usd
    return found


def check_sums() -> dict[str, reconcile.Finding]:
    findings = {one.invariant.name: one for one in reconcile.check(40).findings}
    return {name: findings[name] for name in ("rolled_up_rows", "rolled_up_cost")}


@pytest.mark.usefixtures("summed")
@pytest.mark.parametrize("level", WEEKS)
def test_report__any_span__of_weeks_and_days_equals_that_of_days_and_the_rows(
    level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(level)
    ends = [NOW.date() + DAY - dt.timedelta(days=one) for one in (0, 3, 8, 20)]
    spans = [(end - dt.timedelta(days=dice.randint(1, 36)), end) for end in ends]
    # The same weeks exactly, and one that has no whole week.
    spans += [(MONDAY - 3 * WEEK, MONDAY), (MONDAY - 4 * DAY, MONDAY + 2 * DAY)]
    of_weeks = 0
    for start, end in spans:
        query = UsageQuery(start, end, PAIRS[level], latency=True)
        assert reports._level(query) == level
        found = figures(query)
        assert {k: one.cost_usd for k, one in found[0].items()} == raw_costs(query)
        of_weeks += any(one.level > 20 for one in cover_days(level, start, end))
        with monkeypatch.context() as patch:
            patch.setattr(reports, "cover_days", lambda *asked: [LevelSpan(*asked)])
            assert figures(query) == found
    assert of_weeks >= 2


@pytest.mark.usefixtures("summed")
def test_late_row__of_a_week_that_is_over__is_in_its_week() -> None:
    query = UsageQuery(MONDAY - 2 * WEEK, MONDAY, ("customer", "model"))
    before = reports.run(query).total
    for day in (MONDAY - 2 * WEEK, MONDAY - DAY):
        at = midnight(day) + dt.timedelta(hours=1)
        make_usage(created_at=at, model="late", cost_usd=Decimal(7))
    make_usage(
        created_at=midnight(MONDAY - WEEK), model="late", cost_usd=Decimal(-2),
        status="correction", corrects=uuid7(),
    )  # fmt: skip
    rollup.catch_up()
    [late] = [one for one in WEEKS.values() if one.number == 25]
    sums = UsageHour.objects.filter(level=late.number, model="late")
    assert sorted(sums.values_list("cost_usd", flat=True)) == [-2, 7, 7]
    assert reports.run(query).total.cost_usd == before.cost_usd + 12
    assert (
        sum(row.figures.cost_usd for row in reports.run(query).rows)
        == before.cost_usd + 12
    )


@pytest.mark.usefixtures("summed")
def test_reconcile__a_week_was_changed__is_drift_until_a_rebuild() -> None:
    lost = UsageHour.objects.filter(level=28).order_by("start").last()
    assert lost
    # Its Monday may have the same id.
    UsageHour.objects.filter(level=28, pk=lost.pk).delete()
    findings = check_sums()
    [drift] = findings["rolled_up_rows"].rows
    assert drift.scope_id == WEEKS[18].name
    assert drift.day == lost.start.date().isoformat()
    assert drift.expected - drift.found == lost.requests
    assert findings["rolled_up_cost"].drifted == 1
    rollup.rebuild(lost.start.date(), lost.start.date())
    assert all(finding.ok for finding in check_sums().values())


@pytest.mark.usefixtures("summed")
def test_rebuild__first_days_of_a_week_are_archived__keeps_them_in_the_week(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = list(UsageHour.objects.filter(level=25).order_by("pk").values())
    horizon = (MONDAY - WEEK + 3 * DAY, uuid7())
    monkeypatch.setattr(partitions, "horizon", lambda: horizon)
    rollup.rebuild()
    assert list(UsageHour.objects.filter(level=25).order_by("pk").values()) == before


@pytest.mark.usefixtures("summed")
def test_catch_up__sums_of_weeks_are_new__makes_those_of_the_past() -> None:
    """As after the upgrade that brings them."""
    numbers = [one.number for one in WEEKS.values()]
    rows = UsageHour.objects.filter(level__in=numbers).order_by("pk")
    before = list(rows.values())
    assert len({one["start"] for one in before}) >= 4
    rows.delete()
    RollupState.objects.update(weeks_until=None)
    rollup.catch_up()
    assert list(rows.values()) == before
    state = RollupState.objects.get()
    assert state.weeks_until == MONDAY or NOW.date() != timezone.now().date()
