"""Reports: figures of a span, a group and a filter are those of the rows."""

import datetime as dt
from decimal import Decimal
from itertools import combinations
from typing import Any

import pytest
from django.utils import timezone

from billing.models import Customer
from billing.usage import reports, rollup
from billing.usage.reports import ReportError, UsageFigures, UsageQuery
from tests.admin.rows import make_usage
from tests.fixtures_billing import make_customer

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now() - dt.timedelta(minutes=2)
TODAY = NOW.date()
TOMORROW = TODAY + dt.timedelta(days=1)


@pytest.fixture
def ann() -> Customer:
    """Three requests today, one the day before; another customer has one."""
    ann = make_customer()
    for model, cost, tags in (
        ("a", "1", ["x"]),
        ("a", "2", ["x", "y"]),
        ("b", "4", None),
    ):
        make_usage(
            ann, model=model, cost_usd=Decimal(cost), tags=tags, created_at=NOW,
            prompt_key="p", prompt_version=2, latency_ms=100,
        )  # fmt: skip
    make_usage(
        ann, model="a", cost_usd=Decimal(8), created_at=NOW - dt.timedelta(days=1)
    )
    make_usage(make_customer(), model="b", cost_usd=Decimal(16), created_at=NOW)
    rollup.catch_up()
    return ann


def run(**fields: Any) -> reports.Report:
    return reports.run(UsageQuery(**{"start": TODAY, "end": TOMORROW, **fields}))


def costs(report: reports.Report) -> dict[tuple[str, ...], int]:
    return {row.keys: int(row.figures.cost_usd) for row in report.rows}


def test_run__without_groups__is_the_total_and_the_period_before(ann: Customer) -> None:
    report = run(compare=True)
    [row] = report.rows
    assert row.figures == report.total
    assert (report.total.requests, report.total.cost_usd) == (4, 23)
    assert report.total.tokens == 4 * 18
    assert report.total.cost_per_request == Decimal("5.75")
    assert report.total.cost_per_1000_tokens == Decimal(23000) / 72
    assert report.before is not None
    assert report.before.cost_usd == 8
    assert report.until is not None


@pytest.mark.parametrize(
    ("group_by", "wanted"),
    [
        (("model",), {("b",): 20, ("a",): 3}),
        (("tag",), {("",): 20, ("x",): 3, ("y",): 2}),
        (("prompt_version",), {("@0",): 16, ("p@2",): 7}),
        (("model", "prompt"), {("b", ""): 16, ("b", "p"): 4, ("a", "p"): 3}),
    ],
)
def test_run__grouped__has_the_sums_of_each(
    ann: Customer, group_by: tuple[str, ...], wanted: dict[tuple[str, ...], int]
) -> None:
    assert costs(run(group_by=group_by)) == wanted
    assert run(group_by=group_by).total.cost_usd == 23


def test_run__any_two_dimensions__add_up(ann: Customer) -> None:
    for names in combinations(reports.DIMENSIONS, 2):
        rows = run(group_by=names).rows
        assert sum(row.figures.cost_usd for row in rows) >= 23
        if "tag" not in names:
            assert sum(row.figures.requests for row in rows) == 4


def test_run__filtered_by_customer__compares_each_group(ann: Customer) -> None:
    report = run(
        group_by=("model",),
        filters={"customer": [str(ann.pk)]},
        compare=True,
        latency=True,
    )
    assert costs(report) == {("b",): 4, ("a",): 3}
    before = {row.keys[0]: row.before and row.before.cost_usd for row in report.rows}
    assert before == {"a": 8, "b": 0}
    assert report.rows[0].figures.latency_ms == pytest.approx((100, 100, 100), rel=0.02)
    assert costs(run(group_by=("model",), filters={"tag": ["y"]})) == {("a",): 2}


@pytest.mark.parametrize("bucket", reports.BUCKETS)
def test_run__by_time__has_a_row_for_each_bucket_and_top_group(
    ann: Customer, bucket: str
) -> None:
    report = run(group_by=("model",), bucket=bucket, top=1)
    [row] = report.rows
    assert (row.keys, row.figures.cost_usd, row.before) == (("b",), 20, None)
    assert row.start is not None
    assert row.start.tzinfo is not None
    assert row.start <= NOW


def test_run__nothing_there__is_empty() -> None:
    report = run(compare=True)
    assert (report.rows, report.total, report.before) == (
        [],
        UsageFigures(),
        UsageFigures(),
    )
    assert report.total.cost_per_request is None
    assert report.total.cost_per_1000_tokens is None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"end": TODAY}, "to"),
        ({"bucket": "year"}, "bucket"),
        ({"group_by": ("model", "model")}, "group_by"),
        ({"group_by": ("colour",)}, "group_by"),
        ({"filters": {"colour": ["red"]}}, "group_by"),
        ({"bucket": "hour", "group_by": ("model", "tag")}, "bucket"),
    ],
)
def test_run__a_query_that_cannot_be_answered__names_the_field(
    fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(ReportError) as error:
        run(**fields)
    assert error.value.field == field


def test_run__more_rows_than_one_answer_has__says_so(
    ann: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST_ROWS", 1)
    with pytest.raises(ReportError, match="more than 1 rows: ask for fewer days"):
        run(group_by=("model",))
    with pytest.raises(ReportError) as caught:
        run(group_by=("model",), bucket="day", top=1)
    assert caught.value.field == "group_by"
    # The dearest groups alone are no cut, and have their own figures of before.
    report = run(group_by=("model",), top=1, compare=True)
    assert costs(report) == {("b",): 20}
    assert report.rows[0].before == UsageFigures()
    assert report.total.cost_usd == 23


def test_run__compared__groups_of_before_are_those_of_now(ann: Customer) -> None:
    report = run(group_by=("model", "customer"), compare=True)
    before = {row.keys: row.before and row.before.cost_usd for row in report.rows}
    assert before["a", str(ann.pk)] == 8
    assert sum(one or 0 for one in before.values()) == 8
