"""What was spent and held: read in bulk, shown on budgets, customers and teams."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing.accounting import spend
from billing.config import limit_of
from billing.models import Budget, Customer, Price
from tests.admin.rows import make_counter
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_price,
    make_provider,
    make_team,
    make_tier,
)

pytestmark = pytest.mark.django_db
BUDGETS = "/admin/billing/budget/"
CUSTOMERS = "/admin/billing/customer/"


@pytest.fixture
def days() -> dict[str, Any]:
    """Today, a day earlier this month or today again, and one before this month."""
    today = timezone.now().date()
    first = today.replace(day=1)
    return {"today": today, "first": first, "before": first - timedelta(days=1)}


def test_progress__periods__sum_their_own_days(days: dict[str, Any]) -> None:
    make_counter("g", "", days["today"], spent=100, reserved=7)
    make_counter("g", "", days["before"], spent=5000)
    budgets = {
        period: make_budget(limit="0.01", period=period)
        for period in ("day", "month", "total")
    }
    found = spend.budget_progress(budgets.values())
    spent = {name: found[one.pk].usage.spent for name, one in budgets.items()}
    assert spent == {"day": 100, "month": 100, "total": 5100}
    assert found[budgets["day"].pk].usage.reserved == 7
    assert found[budgets["total"].pk].left == 10_000 - 5100 - 7


def test_progress__earlier_this_month__counts_for_the_month(
    days: dict[str, Any],
) -> None:
    make_counter("g", "", days["first"], spent=40)
    found = spend.budget_progress([month := make_budget(period="month")])
    assert found[month.pk].usage.spent == 40


def test_progress__each_scope__finds_its_own_counter(days: dict[str, Any]) -> None:
    team, customer, (key, _) = make_team(), make_customer(), make_api_key()
    for at, (scope, scope_id) in enumerate(
        (("g", ""), ("t", team.key), ("c", str(customer.pk)), ("k", key.pk)), 1
    ):
        make_counter(scope, scope_id, days["today"], spent=at)
    budgets = [make_budget(target) for target in (None, team, customer, key)]
    found = spend.budget_progress(budgets)
    assert [found[one.pk].usage.spent for one in budgets] == [1, 2, 3, 4]


def test_progress__many_budgets__one_query() -> None:
    budgets = [make_budget(make_customer()) for _ in range(10)]
    with CaptureQueriesContext(connection) as queries:
        found = spend.budget_progress(budgets)
    assert len(queries) == 1
    assert all(one.usage == spend.QuotaProgress() for one in found.values())


def test_progress__no_budgets__no_query() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert spend.budget_progress([]) == {}
    assert not queries


@pytest.mark.parametrize(
    ("spent", "reserved", "limit", "level", "bars"),
    [
        (0, 0, 100, "fine", (0, 0)),
        (50, 20, 100, "fine", (50, 20)),
        (79, 1, 100, "near", (79, 1)),
        (100, 0, 100, "over", (100, 0)),
        (90, 40, 100, "over", (90, 10)),
        (0, 0, 0, "over", (100, 0)),
    ],
)
def test_progress__level_and_bars__never_past_the_end(
    spent: int, reserved: int, limit: int, level: str, bars: tuple[float, float]
) -> None:
    one = spend.BudgetProgress(spend.QuotaProgress(0, spent, reserved), limit)
    assert one.level == level
    assert (one.spent_percent, one.reserved_percent) == bars
    assert one.left >= 0


def test_budgets_page__money_spent_and_held__shown(
    boss: Client, days: dict[str, Any]
) -> None:
    make_counter("g", "", days["today"], spent=2_500_000, reserved=400_000)
    budget = make_budget(limit="3")
    for page in (BUDGETS, f"{BUDGETS}{budget.pk}/change/"):
        text = boss.get(page).content.decode()
        assert "$2.50 of $3.00, $0.40 held" in text
        assert "$0.10" in text


def test_budget__added_for_a_team__kept(operator: Client) -> None:
    team = make_team()
    form = {"scope": "team", "team": team.key, "period": "day", "limit_usd": "12.5", "enabled": "on"}  # fmt: skip
    assert operator.post(f"{BUDGETS}add/", form).status_code == 302
    assert Budget.objects.get().team == team


def test_budget__target_of_another_scope__refused(operator: Client) -> None:
    form = {"scope": "global", "team": make_team().key, "period": "day", "limit_usd": "1"}  # fmt: skip
    answer = operator.post(f"{BUDGETS}add/", form)
    assert "Leave this empty" in answer.content.decode()
    assert not Budget.objects.exists()


def test_customers_page__todays_use__shown_against_the_tier(
    boss: Client, days: dict[str, Any]
) -> None:
    customer = make_customer(tier=make_tier(daily_requests=5000))
    make_counter("c", str(customer.pk), days["today"], used=1234, spent=1_500_000)
    for page in (CUSTOMERS, f"{CUSTOMERS}{customer.pk}/change/"):
        text = boss.get(page).content.decode()
        assert "1,234 of 5,000" in text
        assert "$1.50" in text


def test_teams_page__todays_spend__shown(boss: Client, days: dict[str, Any]) -> None:
    team = make_team()
    make_counter("t", team.key, days["today"], used=2000, spent=70_000)
    text = boss.get("/admin/billing/team/").content.decode()
    assert "2,000" in text
    assert "$0.07" in text


@pytest.mark.parametrize(("action", "after"), [("suspend", True), ("resume", False)])
def test_customer_action__operator__switches_and_logs(
    operator: Client, action: str, after: bool
) -> None:
    rows = [make_customer(suspended=not after), make_customer(suspended=after)]
    ids = [str(one.pk) for one in rows]
    form = {"action": action, "_selected_action": ids}
    if after:
        asked = operator.post(CUSTOMERS, form)
        assert b"All requests of the customer are refused" in asked.content
        assert not Customer.objects.get(pk=ids[0]).suspended
    answer = operator.post(CUSTOMERS, {**form, "confirmed": "1"})
    assert answer.status_code == 302
    states = Customer.objects.values_list("suspended", flat=True)
    assert list(states) == [after, after]
    assert LogEntry.objects.get().object_id == ids[0]


def test_customer_action__auditor__nothing_happens(auditor: Client) -> None:
    customer = make_customer()
    form = {"action": "suspend", "_selected_action": [str(customer.pk)]}
    auditor.post(CUSTOMERS, form)
    customer.refresh_from_db()
    assert not customer.suspended


@pytest.mark.parametrize("asked", ["anna@example.com", "anna", " anna@ "])
def test_customer_search__id_or_its_beginning__found(boss: Client, asked: str) -> None:
    anna = make_customer("anna@example.com")
    make_customer("susanna@example.com")
    found = boss.get(CUSTOMERS, {"q": asked}).context["cl"].result_list
    assert found == [anna]


def test_customer_form__existing__ids_that_the_ledger_knows_are_fixed(
    boss: Client,
) -> None:
    customer = make_customer()
    text = boss.get(f"{CUSTOMERS}{customer.pk}/change/").content.decode()
    assert 'name="user_id"' not in text
    assert 'name="tier"' in text


def price_form(provider: str, **fields: str) -> dict[str, str]:
    return {
        "provider": provider,
        "upstream_model": "a-model",
        "effective_from_0": "2026-01-01",
        "effective_from_1": "00:00:00",
        "input_usd": "0.5",
        "cached_input_usd": "",
        "output_usd": "1.5",
        **fields,
    }


def test_price__cache_rates__are_set_and_shown(operator: Client) -> None:
    form = price_form(
        make_provider().key, cached_input_usd="0.25", cache_write_usd="0.75"
    )
    assert operator.post("/admin/billing/price/add/", form).status_code == 302
    price = Price.objects.get()
    assert (price.cached_usd, price.written_usd) == (Decimal("0.25"), Decimal("0.75"))
    text = operator.get("/admin/billing/price/").content.decode()
    assert "$0.25" in text
    assert "$0.75" in text


def test_price__set_by_an_operator__says_so(operator: Client) -> None:
    provider = make_provider()
    form = price_form(provider.key)
    assert operator.post("/admin/billing/price/add/", form).status_code == 302
    price = Price.objects.get()
    assert price.source == Price.Source.OPERATOR
    text = operator.get("/admin/billing/price/").content.decode()
    assert "$0.50" in text
    assert "$1.50" in text


def test_price__unknown_provider__refused(operator: Client) -> None:
    answer = operator.post("/admin/billing/price/add/", price_form("nobody"))
    assert "Select a valid choice" in answer.content.decode()


def test_price__of_a_provider_that_is_gone__can_still_be_opened(boss: Client) -> None:
    price = make_price("vanished", "its-model", source=Price.Source.PACKAGE)
    page = reverse("admin:billing_price_change", args=[price.pk])
    assert "vanished (deleted)" in boss.get(page).content.decode()


# -- periods, increase, rollover, forecast ------------------------------------------------


def test_progress__rollover_and_increase__are_in_the_limit() -> None:
    now = timezone.now()
    today, yesterday = now.date(), now.date() - timedelta(days=1)
    make_counter("g", "", yesterday, spent=3_000_000, reserved=500_000)
    make_counter("g", "", today, spent=100, reserved=7)
    budget = make_budget(limit="10", rollover=True, increase_usd=Decimal(2), increase_until=now + timedelta(days=1))  # fmt: skip
    Budget.objects.filter(pk=budget.pk).update(created_at=now - timedelta(days=9))
    budget.refresh_from_db()
    found = spend.budget_progress([budget])[budget.pk]
    assert found.limit == 10_000_000 + 2_000_000 + 10_000_000 - 3_500_000
    assert found.usage == spend.QuotaProgress(0, 100, 7)
    assert (found.start, found.end) == (today, today)
    assert found.left == found.limit - 107


def test_progress__fixed_dates__sums_since_the_first_day() -> None:
    today = timezone.now().date()
    make_counter("g", "", today - timedelta(days=3), spent=1)
    make_counter("g", "", today - timedelta(days=2), spent=20)
    over = make_budget(period="dates", starts_on=today - timedelta(days=2), ends_on=today - timedelta(days=1))  # fmt: skip
    found = spend.budget_progress([over])[over.pk]
    assert (found.usage.spent, found.end) == (20, today - timedelta(days=1))


def test_forecast__half_the_period_gone__is_twice_what_was_spent() -> None:
    noon = datetime(2026, 6, 16, tzinfo=UTC)
    one = spend.BudgetProgress(
        spend.QuotaProgress(0, 600), 1000, date(2026, 6, 1), date(2026, 6, 30)
    )
    assert one.forecast(noon) == 1200
    assert one.forecast(noon + timedelta(days=900)) == 600
    assert one.forecast(datetime(2026, 6, 1, 0, 30, tzinfo=UTC)) is None
    assert spend.BudgetProgress(one.usage, 1000).forecast(noon) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scope": "model"}, "Choose whom this budget limits."),
        ({"scope": "tag", "model": "m"}, "Leave this empty"),
        ({"period": "dates", "starts_on": "2026-01-01"}, "a first and a last day"),
        ({"period": "dates", "starts_on": "2026-02-01", "ends_on": "2026-01-01"}, "before the first"),
        ({"starts_on": "2026-02-01"}, "Only for the period"),
        ({"period": "total", "rollover": "on"}, "has one before it"),
        ({"increase_usd": "5"}, "when the increase ends"),
        ({"thresholds": "50, many"}, "no whole number"),
        ({"thresholds": "0"}, "greater than or equal to 1"),
    ],
)  # fmt: skip
def test_budget_form__does_not_fit_together__says_which_field(
    operator: Client, fields: dict[str, str], words: str
) -> None:
    form = {"scope": "global", "period": "day", "limit_usd": "1", "enabled": "on"}
    answer = operator.post(f"{BUDGETS}add/", {**form, **fields})
    assert words in answer.content.decode()
    assert not Budget.objects.exists()


def test_budget_form__all_fields__are_kept_and_shown(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On the first day of a quarter there is none.
    monkeypatch.setattr(spend.BudgetProgress, "forecast", lambda *_: 13_000_000)
    form = {
        "scope": "tag", "tag": "night", "period": "quarter", "limit_usd": "10", "hard": "on",
        "thresholds": "100, 80 ,80%", "rollover": "on", "increase_usd": "2.5",
        "increase_until_0": "2030-01-01", "increase_until_1": "10:00", "enabled": "on",
    }  # fmt: skip
    assert operator.post(f"{BUDGETS}add/", form).status_code == 302
    budget = Budget.objects.get()
    assert (budget.thresholds, budget.target, budget.scope_id) == ([80, 100], "night", "night")  # fmt: skip
    assert limit_of(budget).increase == 2_500_000
    make_counter("x", "night", timezone.now().date(), spent=9_000_000_000)
    text = operator.get(f"{BUDGETS}{budget.pk}/change/").content.decode()
    assert "over the limit" in text
    assert "80, 100" in text
