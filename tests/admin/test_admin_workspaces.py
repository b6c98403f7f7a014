"""The pages of a customer and a team: what they used, and what can be done."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from billing.admin import workspace as module
from billing.models import Customer
from tests.admin.page_forms import opened, page_of, words
from tests.admin.rows import make_counter, make_refusal, make_usage
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_team,
    make_tier,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def twins() -> list[Customer]:
    """Two customers with one user id, in two teams."""
    tier = make_tier("pro", daily_requests=200)
    return [make_customer("anna", tier=tier, team=make_team(t)) for t in ("red", "blue")]  # fmt: skip


def test_customer_page__two_of_one_user_id__each_shows_its_own(
    operator: Client, twins: list[Customer]
) -> None:
    red, blue = twins
    today = timezone.now().date()
    make_counter("c", str(red.pk), today, used=150, spent=2_000_000)
    make_counter("c", str(red.pk), today - timedelta(days=29), used=4, spent=500_000)
    make_counter("c", str(red.pk), today - timedelta(days=30), used=9, spent=1)
    make_counter("c", str(blue.pk), today, used=3, spent=3)
    make_usage(red, model="of-red")
    make_usage(blue, model="of-blue")
    make_refusal(red, code="red_code")
    make_refusal(blue, code="blue_code")
    make_budget(red, limit="9")
    make_budget(blue, limit="8")
    make_budget(red.team, limit="7")
    make_budget(limit="6")
    make_api_key(red, name="Key of red")
    make_api_key(blue, name="Key of blue")
    text = words(operator.get(page_of(red)))
    assert "anna (red)" in text
    assert "150 of 200 requests today" in text
    assert "last 30 days: 154 requests, $2.50" in text
    for shown in ("of-red", "red_code", "Key of red", "of $9.00", "of $7.00", "of $6.00"):  # fmt: skip
        assert shown in text
    for hidden in ("of-blue", "blue_code", "Key of blue", "of $8.00"):
        assert hidden not in text
    assert f"?customer_id={red.pk}" in operator.get(page_of(red)).content.decode()


def test_team_page__its_customers_and_their_traffic__shown(
    operator: Client, twins: list[Customer]
) -> None:
    red, blue = twins
    make_counter("t", "red", timezone.now().date(), used=5, spent=1_250_000)
    make_usage(red, model="of-red")
    make_usage(blue, model="of-blue")
    make_refusal(red, code="red_code")
    make_api_key(red, name="Key of red")
    make_budget(red.team, limit="7")
    text = words(operator.get(page_of(red.team)))
    assert "5 requests today (UTC), $1.25 spent." in text
    for shown in ("anna", "Pro", "of-red", "red_code", "Key of red", "of $7.00"):
        assert shown in text
    assert "of-blue" not in text
    found = operator.get("/admin/billing/request/?team=red").context["cl"].result_list
    assert {(one.model, one.refused) for one in found} == {
        ("of-red", False),
        ("some-model", True),
    }


def test_new_customer__page__says_that_there_is_nothing(boss: Client) -> None:
    text = words(boss.get(page_of(make_customer(tier=make_tier(daily_requests=0)))))
    for said in ("No budget limits this customer.", "No key so far.", "No request so far.", "None is stored."):  # fmt: skip
        assert said in text
    text = words(boss.get(page_of(make_team())))
    assert "No customer so far." in text


def test_workspace__busy_database__says_so(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = make_customer()
    rows = module._read(lambda: list(Customer.objects.raw("SELECT pg_sleep(9), * FROM billing_customer")))  # fmt: skip
    assert rows is None
    monkeypatch.setattr(module, "_read", lambda query: None)
    text = words(boss.get(page_of(customer)))
    assert "The ledger is busy: open the list." in text


def test_customer_page__rights_of_rows_missing__parts_are_left_out(
    newcomer: Client, django_user_model: Any
) -> None:
    user = django_user_model.objects.get(username="nora")
    user.user_permissions.add(Permission.objects.get(codename="view_customer"))
    text = words(newcomer.get(page_of(make_customer())))
    assert "Requests and spend by the day" in text
    for part in (
        "Budgets",
        "Last requests",
        "Last refusals",
        "Newest keys",
        "Suspend ",
    ):
        assert part not in text


def test_form__not_saved__is_shown_without_the_overview(
    boss: Client,
) -> None:
    customer = make_customer(tier=make_tier("free", daily_requests=10))
    make_tier("pro", daily_requests=500)
    answer = boss.post(page_of(customer), opened(boss, customer, tier="pro"))
    assert answer.status_code == 422
    assert "Requests and spend by the day" not in words(answer)


@pytest.mark.parametrize("act", ["suspend", "release"])
def test_customer__suspended_or_released__states_the_effect_and_logs_the_reason(
    operator: Client, act: str
) -> None:
    customer = make_customer("anna", suspended=act == "release")
    page = f"/admin/billing/customer/{customer.pk}/{act}/"
    asked = words(operator.get(page))
    assert ("are refused at once" if act == "suspend" else "accepted again") in asked
    answer = operator.post(page, {"reason": "A claim."}, follow=True)
    assert f"anna is {act.rstrip('e')}ed." in words(answer)
    customer.refresh_from_db()
    assert customer.suspended == (act == "suspend")
    assert "A claim." in LogEntry.objects.get().change_message
    again = operator.post(page, {"reason": "Again."})
    assert "already" in words(again)
    assert LogEntry.objects.count() == 1


def test_customer__auditor__cannot_suspend(auditor: Client) -> None:
    customer = make_customer()
    page = f"/admin/billing/customer/{customer.pk}/suspend/"
    assert auditor.post(page, {"reason": "Mine."}).status_code == 403
    customer.refresh_from_db()
    assert not customer.suspended
