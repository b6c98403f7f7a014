"""Ledger health: what an auditor reads there, and who may check now."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from billing.accounting import invariants, reconcile
from billing.models import Counter, LedgerCheck, Usage
from tests.admin.rows import (
    make_counter,
    make_ledger_check,
    make_reservation,
    make_usage,
)
from tests.fixtures_billing import make_customer, make_team
from tests.tampering import tampering

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/billing/ledgercheck/health/"


def text_of(client: Client, url: str = PAGE) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def finding(name: str, *rows: reconcile.Drift, more: int = 0) -> dict[str, Any]:
    invariant = next(one for one in invariants.INVARIANTS if one.name == name)
    drifted = len(rows) + more
    return reconcile._document(reconcile.Finding(invariant, 9, drifted, rows))


@pytest.fixture
def drifted() -> Usage:
    """A billed request of which no counter knows."""
    return make_usage(make_customer("ann", team=make_team("red")), key="abcd")


def links(client: Client) -> list[str]:
    found = client.get(PAGE).context["findings"]
    return [url for one in found for row in one["rows"] for _, url in row["links"]]


def test_page__never_checked__says_so(auditor: Client) -> None:
    text = text_of(auditor)
    assert "Not checked yet" in text
    assert "Check now" not in text


def test_page__no_drift__every_invariant_holds(boss: Client) -> None:
    reconcile.run("schedule")
    text = text_of(boss)
    assert "The ledger balances" in text
    assert "by schedule" in text
    for one in invariants.INVARIANTS:
        assert one.title in text
        assert escape(one.meaning) in text
    assert ">holds<" in text.replace(" ", "").replace("\n", "")
    assert "broken" not in text


def test_page__drift__shown_with_what_is_off_and_where(
    auditor: Client, drifted: Usage
) -> None:
    reconcile.run("schedule")
    text = text_of(auditor)
    assert "The ledger does not balance" in text
    assert "ann" in text
    assert "$0.001234" in text
    assert "−$0.001234" in text
    assert "just now" in text


def test_page__drill_down__every_link_opens_for_an_auditor(
    auditor: Client, drifted: Usage
) -> None:
    reconcile.run("schedule")
    urls = links(auditor)
    # Everyone, the team, the customer, the key and the model: money (2 links), requests
    # (3). It has no tag, of which the counter alone would be linked.
    assert len(urls) == 5 * (2 + 3)
    assert {auditor.get(url).status_code for url in urls} == {200}
    lists = [url for url in urls if url.startswith("/admin/billing/usage/?")]
    assert len(lists) == 10
    for url in lists:
        assert auditor.get(url).context["cl"].result_list == [drifted]


def test_page__drill_down__leads_to_the_rows_of_that_scope_and_day_only(
    auditor: Client, drifted: Usage
) -> None:
    other = make_usage(make_customer("bob"), created_at=timezone.now() - timedelta(1))
    reconcile.run("schedule")
    for url in links(auditor):
        if url.startswith("/admin/billing/usage/?customer_id"):
            [row] = auditor.get(url).context["cl"].result_list
            assert str(row.customer_id) in url
            assert row in (drifted, other)


def test_page__counter_that_drifts__its_link_shows_it(auditor: Client) -> None:
    counter = make_counter("t", "red", timezone.now().date(), spent=5_000_000)
    make_counter("t", "blue", timezone.now().date())
    reconcile.run("schedule")
    [url] = [url for url in links(auditor) if "/counter/" in url]
    assert auditor.get(url).context["cl"].result_list == [counter]
    assert "$5.00" in text_of(auditor, url)


def test_page__reservation_held_too_long__linked(auditor: Client) -> None:
    late = make_reservation(lease_until=timezone.now() - timedelta(seconds=90))
    reconcile.run("schedule")
    url = reverse("admin:billing_reservation_change", args=[late.pk])
    assert url in links(auditor)
    assert " s</td>" in text_of(auditor)


@pytest.mark.parametrize(
    ("name", "pages"),
    [
        ("ended_once", ["usage", "reservation"]),
        ("overdue", ["reservation"]),
        ("corrections", ["usage"]),
    ],
)
def test_page__drift_of_a_row__links_the_row(
    auditor: Client, name: str, pages: list[str]
) -> None:
    row = str(make_usage().pk)
    drift = reconcile.Drift("c", row, "2026-11-23", 1, 2, row)
    make_ledger_check(ok=False, findings=[finding(name, drift)])
    assert links(auditor) == [
        reverse(f"admin:billing_{page}_change", args=[row]) for page in pages
    ]


def test_page__more_drift_than_kept__says_how_much(auditor: Client) -> None:
    drift = reconcile.Drift("g", "", "2026-11-23", 1, 2)
    make_ledger_check(ok=False, findings=[finding("used", drift, more=1234)])
    text = text_of(auditor)
    assert "And 1,234 more" in text
    assert "1,235 with drift" in text


def test_page__last_check_long_ago__warns(auditor: Client) -> None:
    make_ledger_check(finished_at=timezone.now() - timedelta(hours=3))
    assert "has not run since" in text_of(auditor)
    make_ledger_check()
    assert "has not run since" not in text_of(auditor)


def test_check_now__operator__checks_keeps_and_logs(operator: Client) -> None:
    assert "Check now" in text_of(operator)
    answer = operator.post(PAGE, {"days": "32"}, follow=True)
    assert "No drift." in answer.content.decode()
    kept = LedgerCheck.objects.get()
    assert kept.by == "olga"
    assert kept.last_day - kept.first_day == timedelta(days=31)
    assert LogEntry.objects.get().object_id == str(kept.pk)


def test_check_now__span_not_offered__takes_the_usual_one(operator: Client) -> None:
    operator.post(PAGE, {"days": "100000"})
    kept = LedgerCheck.objects.get()
    assert kept.last_day - kept.first_day == timedelta(days=reconcile.DAYS - 1)


def test_check_now__drift__tells_and_repairs_nothing(
    operator: Client, drifted: Usage
) -> None:
    answer = operator.post(PAGE, follow=True)
    assert "The ledger does not balance: see below." in answer.content.decode()
    assert not Counter.objects.exists()


def test_check_now__takes_too_long__says_what_to_do(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: Any, **__: Any) -> None:
        raise DatabaseError("canceling statement due to statement timeout")

    monkeypatch.setattr(reconcile, "check", slow)
    answer = operator.post(PAGE, follow=True)
    assert "manage.py reconcile" in answer.content.decode()
    assert not LedgerCheck.objects.exists()


def test_check_now__auditor__forbidden(auditor: Client) -> None:
    assert auditor.post(PAGE).status_code == 403
    assert not LedgerCheck.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_page__no_rights__forbidden(newcomer: Client, method: str) -> None:
    assert getattr(newcomer, method)(PAGE).status_code == 403


def test_page__other_methods__refused(boss: Client) -> None:
    assert boss.delete(PAGE).status_code == 405


def test_sidebar__auditor__finds_the_page(auditor: Client) -> None:
    groups = auditor.get("/admin/").context["sidebar_navigation"]
    [operations] = [group for group in groups if group["title"] == "Operations"]
    assert PAGE in [item["link"] for item in operations["items"]]


def test_history__one_check__shows_its_findings(
    auditor: Client, drifted: Usage
) -> None:
    old = reconcile.run("schedule")
    with tampering():
        Usage.objects.all().delete()
    reconcile.run("schedule")
    assert "The ledger balances" in text_of(auditor)
    text = text_of(auditor, reverse("admin:billing_ledgercheck_change", args=[old.pk]))
    assert "broken" in text
    assert "ann" in text
    listed = text_of(auditor, reverse("admin:billing_ledgercheck_changelist"))
    assert listed.count("schedule") >= 2


def test_history__check_of_all_days__says_from_the_first(auditor: Client) -> None:
    make_ledger_check(first_day=None)
    assert "the first day to" in text_of(auditor)


@pytest.mark.parametrize("asked", ["red", " red "])
def test_counters__searched_by_a_whole_id__found(auditor: Client, asked: str) -> None:
    today = timezone.now().date()
    red = make_counter("t", "red", today)
    make_counter("t", "redder", today)
    url = reverse("admin:billing_counter_changelist")
    assert auditor.get(url, {"q": asked}).context["cl"].result_list == [red]


def test_counters__nothing_searched__newest_day_first(auditor: Client) -> None:
    today = timezone.now().date()
    old = make_counter("g", "", today - timedelta(1))
    new = make_counter("g", "", today)
    url = reverse("admin:billing_counter_changelist")
    assert auditor.get(url).context["cl"].result_list == [new, old]
