"""The Spend page: days, groups, the period before, and the way to the requests."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from billing.usage import reports, rollup
from billing.usage.spend_query import SpendChoice, read_choice
from tests import clock
from tests.admin.rows import make_usage
from tests.billing.usage.test_exports import body, cells
from tests.fixtures_billing import make_customer, make_team

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/billing/counter/spend/"
NOW = timezone.now() - dt.timedelta(minutes=2)
TODAY = dt.date(2026, 3, 15)


@pytest.mark.parametrize(
    ("asked", "days", "preset"),
    [
        ({}, (dt.date(2026, 2, 14), TODAY), "month"),
        ({"span": "today"}, (TODAY, TODAY), "today"),
        ({"span": "this-month"}, (dt.date(2026, 3, 1), TODAY), "this-month"),
        ({"span": "last-month"}, (dt.date(2026, 2, 1), dt.date(2026, 2, 28)), "last-month"),
        ({"span": "<b>"}, (dt.date(2026, 2, 14), TODAY), "month"),
        ({"from": "2026-01-01", "to": "2026-01-31"}, (dt.date(2026, 1, 1), dt.date(2026, 1, 31)), ""),
        ({"from": "2026-01-31", "to": "2026-01-01"}, (dt.date(2026, 2, 14), TODAY), "month"),
        ({"from": "1000-01-01", "to": "2026-01-01"}, (dt.date(2026, 2, 14), TODAY), "month"),
        ({"from": "2026-02-30", "to": "x"}, (dt.date(2026, 2, 14), TODAY), "month"),
    ],
)  # fmt: skip
def test_choice__of_an_url__has_valid_days(
    asked: dict[str, str], days: tuple[dt.date, dt.date], preset: str
) -> None:
    choice = read_choice(asked, TODAY)
    assert ((choice.start, choice.last), choice.preset) == (days, preset)


def test_url__of_a_choice__leads_back_to_it() -> None:
    choice = SpendChoice(TODAY, TODAY, "", "team", {"model": "a&b"})
    assert choice.url() == "?from=2026-03-15&to=2026-03-15&group=team&model=a%26b"
    assert choice.url(model="", team="x") == "?from=2026-03-15&to=2026-03-15&group=team&team=x"  # fmt: skip
    assert choice.url(span="week") == "?group=team&model=a%26b&span=week"


@pytest.fixture
def traffic() -> Any:
    team = make_team("growth")
    ann, bob = make_customer("ann", team=team), make_customer("bob")
    month_ago = NOW - dt.timedelta(days=30)
    make_usage(ann, model="big", cost_usd=Decimal(6), provider_cost_usd=Decimal(5), tags=["web"], created_at=NOW)  # fmt: skip
    make_usage(bob, model="small", cost_usd=Decimal(1), created_at=NOW, status="error")
    make_usage(bob, model="small", cost_usd=0, saved_usd=Decimal(2), cached=True, created_at=NOW)  # fmt: skip
    make_usage(ann, model="big", cost_usd=Decimal(4), created_at=month_ago)
    make_usage(ann, model="old", cost_usd=Decimal(9), created_at=month_ago)
    rollup.catch_up()
    return ann


def test_page__of_the_last_days__compares_and_says_what_changed(
    auditor: Client, traffic: Any
) -> None:
    answer = auditor.get(PAGE)
    cards = {one["title"]: one for one in answer.context["page"].cards}
    assert cards["Spend"]["value"] == "$7.00"
    assert cards["Spend"]["note"] == "-46% against $13.00 before"
    assert (cards["Requests"]["value"], cards["Saved by the cache"]["value"]) == ("3", "$2.00")  # fmt: skip
    assert cards["Reported by providers"]["value"].startswith("$5")
    rows = {row.name: row for row in answer.context["page"].rows}
    assert [*rows] == ["big", "small"]
    assert (rows["big"].change_percent, rows["small"].change_percent) == ("+50%", "new")
    assert (rows["small"].figures.requests, rows["small"].figures.failed) == (2, 1)
    assert rows["small"].per_request == Decimal("0.5")
    assert [row.name for row in answer.context["page"].changes] == ["big", "small"]
    chart = json.loads(answer.context["chart"])
    assert {one["label"]: sum(one["data"]) for one in chart["datasets"]} == {"big": 6, "small": 1}  # fmt: skip
    assert len(chart["labels"]) == 30


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("customer", ["ann (growth)", "bob"]),
        ("team", ["growth", "none"]),
        ("tag", ["web", "none"]),
        ("prompt", ["none"]),
        ("provider", ["some-provider"]),
    ],
)
def test_page__each_group__has_names_and_ways_down(
    auditor: Client, traffic: Any, group: str, names: list[str]
) -> None:
    page = auditor.get(PAGE, {"group": group}).context["page"]
    assert [row.name for row in page.rows] == names
    for row in page.rows:
        if row.link:
            inside = auditor.get(PAGE + row.link)
            assert inside.context["page"].report.total == row.figures
        if row.requests_link:
            assert auditor.get(row.requests_link).status_code == 200


def test_page__more_groups_than_colours__are_drawn_together(auditor: Client) -> None:
    now = clock.earlier_today()
    for at in range(7):
        make_usage(model=f"m{at}", cost_usd=Decimal(10 - at), created_at=now)
    rollup.catch_up()
    chart = json.loads(auditor.get(PAGE, {"span": "today"}).context["chart"])
    sums = {one["label"]: sum(one["data"]) for one in chart["datasets"]}
    assert [*sums] == ["m0", "m1", "m2", "m3", "m4", "all others"]
    assert sums["all others"] == 4 + 5


def test_page__nothing_used__says_until_when_it_knows(auditor: Client) -> None:
    assert "It has not done so yet" in auditor.get(PAGE).content.decode()
    make_usage(created_at=NOW - dt.timedelta(days=400))
    rollup.catch_up()
    assert "summed up until" in auditor.get(PAGE).content.decode()


def test_page__takes_too_long__says_so(
    auditor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(reports, "run", fail)
    assert "took too long" in auditor.get(PAGE).content.decode()


def test_page__more_groups_than_one_answer_has__still_draws_them_all(
    auditor: Client, traffic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(9):
        make_usage(model=f"m{at}", cost_usd=Decimal(20 - at), created_at=NOW)
    rollup.catch_up()
    monkeypatch.setattr(reports, "MOST_ROWS", 10)
    chart = json.loads(auditor.get(PAGE).context["chart"])
    drawn = sum(sum(one["data"]) for one in chart["datasets"])
    assert drawn == sum(20 - at for at in range(9)) + 7
    assert "more than 10 rows" in auditor.get(PAGE, {"csv": "1"}).content.decode()


def test_page__markup_in_names__stays_text(auditor: Client) -> None:
    make_usage(model="<b>x</b>", created_at=NOW)
    rollup.catch_up()
    text = auditor.get(PAGE, {"prompt": "<i>y</i>", "group": "<u>"}).content.decode()
    assert "<i>y" not in text
    assert "<b>x" not in auditor.get(PAGE).content.decode()


def test_csv__of_the_page__has_all_groups(auditor: Client, traffic: Any) -> None:
    rows = cells(body(auditor.get(PAGE, {"group": "model", "csv": "1"})))
    assert [
        (row["model"], row["cost_usd"], row["cost_usd_before"]) for row in rows
    ] == [
        ("big", "6.000000", "4.000000"),
        ("small", "1.000000", "0"),
    ]


def test_page__without_the_right__is_refused(newcomer: Client) -> None:
    assert newcomer.get(PAGE).status_code == 403
