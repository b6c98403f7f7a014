"""The action on prices that re-prices requests, and how corrections are shown."""

import re
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.accounting import reconcile, traffic
from billing.admin import reprice as door
from billing.models import Price, Usage
from billing.pricing.reprice import apply
from tests.admin.rows import make_usage
from tests.fixtures_billing import make_budget, make_price

pytestmark = pytest.mark.django_db(transaction=True)
PRICES = "/admin/billing/price/"
PAIR = ("some-provider", "some-model")


@pytest.fixture
def price() -> Price:
    """$10 per million: the 18 tokens of a request cost $0.00018, not $0.001234."""
    return make_price(*PAIR, usd="10", output="10")


@pytest.fixture
def row() -> Usage:
    return make_usage(marks=["unpriced"])


def act(client: Client, price: Price, **more: str) -> str:
    form = {"action": "reprice_requests", "_selected_action": str(price.pk), **more}
    answer = client.post(PRICES, form, follow=True)
    return re.sub(r"\s+", " ", answer.content.decode())


def test_action__first__shows_what_would_change(
    operator: Client, price: Price, row: Usage
) -> None:
    text = act(operator, price)
    assert "1 request billed $0.001234, $0.001054 refunded" in text
    assert "Book the corrections" in text
    assert Usage.objects.count() == 1


def test_action__confirmed__books_and_logs(
    operator: Client, price: Price, row: Usage
) -> None:
    text = act(operator, price, confirmed="1")
    assert "Corrected 1 request, $0.001054 refunded." in text
    assert Usage.objects.get(corrects=row.pk).cost_usd == Decimal("-0.001054")
    entry = LogEntry.objects.get()
    assert entry.object_id == str(price.pk)
    assert "refunded" in entry.change_message


def test_action__dearer_price_and_no_room__says_both(
    operator: Client, row: Usage
) -> None:
    dear = make_price(*PAIR, usd="100", output="100")
    assert "$0.000566 charged" in act(operator, dear)
    make_budget(limit="0.0001")
    text = act(operator, dear, confirmed="1")
    assert "Corrected 1 request, $0.0001 charged." in text
    assert "($0.000466 would exceed a budget)" in LogEntry.objects.get().change_message


def test_action__nothing_unpriced__says_so(operator: Client, price: Price) -> None:
    assert "No request of these models" in act(operator, price)


def test_action__price_begins_too_late__says_what_to_do(
    operator: Client, row: Usage
) -> None:
    late = make_price(*PAIR, effective_from=timezone.now())
    text = act(operator, late)
    assert "1 request from before the first price" in text
    assert "effective from" in text


def test_action__more_than_one_click_takes__says_so(
    operator: Client, price: Price, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        make_usage(marks=["unpriced"])
    monkeypatch.setattr(door, "MOST", 1)
    monkeypatch.setattr("billing.pricing.reprice.AT_A_TIME", 1)
    assert "repeat the action for the rest" in act(operator, price, confirmed="1")
    assert Usage.objects.exclude(corrects=None).count() == 1


def test_action__another_price_of_the_model__not_logged_twice(
    operator: Client, price: Price, row: Usage
) -> None:
    make_usage(marks=["unpriced"], upstream_model="unrelated")
    unrelated = make_price(PAIR[0], "without-requests")
    form = {
        "action": "reprice_requests",
        "confirmed": "1",
        "_selected_action": [str(price.pk), str(unrelated.pk)],
    }
    operator.post(PRICES, form)
    assert LogEntry.objects.get().object_id == str(price.pk)
    assert Usage.objects.exclude(corrects=None).count() == 1


def test_action__auditor__cannot(auditor: Client, price: Price, row: Usage) -> None:
    act(auditor, price, confirmed="1")
    assert Usage.objects.count() == 1


def test_request_page__correction_and_request__link_each_other(
    auditor: Client, price: Price, row: Usage
) -> None:
    apply()
    correction = Usage.objects.get(corrects=row.pk)
    for one, other, text in (
        (row, correction, "corrected by"),
        (correction, row, "corrects the request"),
    ):
        page = reverse("admin:billing_usage_change", args=[one.pk])
        shown = auditor.get(page).content.decode()
        assert text in shown
        assert reverse("admin:billing_usage_change", args=[other.pk]) in shown


def test_requests__filtered_by_outcome__corrections_are_neither(
    auditor: Client, price: Price, row: Usage
) -> None:
    apply()
    correction = Usage.objects.get(corrects=row.pk)
    found = {
        outcome: auditor.get(
            "/admin/billing/usage/", {"outcome": outcome}
        ).context["cl"].result_list
        for outcome in ("ok", "failed", "correction")
    }  # fmt: skip
    assert found == {"ok": [row], "failed": [], "correction": [correction]}


def test_dashboard_figures__correction__is_money_but_no_request(
    price: Price, row: Usage
) -> None:
    apply()
    whole = traffic.last_day().whole
    assert (whole.requests, whole.failed) == (1, 0)
    assert whole.spend_usd == Decimal("0.00018")


def test_books__made_by_hand__are_the_reason_for_their_drift(
    price: Price, row: Usage
) -> None:
    """Re-pricing moves counters by the difference only: what was off stays off."""
    before = {(one.scope, one.found - one.expected) for one in _spent()}
    apply()
    assert {(one.scope, one.found - one.expected) for one in _spent()} == before


def _spent() -> tuple[reconcile.Drift, ...]:
    return reconcile.check().findings[0].rows
