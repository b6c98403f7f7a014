"""What a form says of its effects before it saves, and asks."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import Budget, Customer, Tier
from llm.models import CacheEpoch, Provider, Route
from tests.admin.page_forms import opened, page_of, unchanged_form, words
from tests.admin.rows import make_counter
from tests.fixtures_billing import (
    make_budget,
    make_customer,
    make_model,
    make_provider,
    make_route,
    make_team,
    make_tier,
)


def confirmed(client: Client, page: str, form: dict[str, Any]) -> Any:
    """Send the form, and then confirm what it asks; the answer to that."""
    asked: Any = client.post(page, form)
    assert asked.status_code == 422
    sent = {**form, "confirmed": asked.context["confirmed"]}
    sent.pop("_save", None)
    return client.post(page, sent)


def used_today(customer: Customer, used: int) -> None:
    make_counter("c", str(customer.pk), timezone.now().date(), used=used)


@pytest.mark.django_db
def test_tier__quota_below_todays_use__is_told_and_confirmed(boss: Client) -> None:
    tier = make_tier(daily_requests=100)
    for used, fields in [(49, {}), (50, {}), (99, {}), (100, {}), (60, {"suspended": True})]:  # fmt: skip
        used_today(make_customer(tier=tier, **fields), used)
    used_today(make_customer(), 70)
    form = opened(boss, tier, daily_requests="50")
    answer = boss.post(page_of(tier), form)
    assert answer.status_code == 422
    assert "with 50 requests or more today: 2." in words(answer)
    tier.refresh_from_db()
    assert tier.daily_requests == 100
    assert confirmed(boss, page_of(tier), form).status_code == 302
    tier.refresh_from_db()
    assert tier.daily_requests == 50


@pytest.mark.django_db
@pytest.mark.parametrize("quota", ["98", "100", "200"])
def test_tier__quota_that_refuses_nobody__is_saved_at_once(
    boss: Client, quota: str
) -> None:
    tier = make_tier(daily_requests=100)
    used_today(make_customer(tier=tier), 97)
    form = opened(boss, tier, daily_requests=quota)
    assert boss.post(page_of(tier), form).status_code == 302


@pytest.mark.django_db
def test_customer__moved_below_its_use__is_told_both(boss: Client) -> None:
    customer = make_customer(tier=make_tier("pro", daily_requests=500))
    make_tier("free", daily_requests=10)
    used_today(customer, 1200)
    Tier.objects.filter(pk="pro").update(daily_requests=5000)
    form = opened(boss, customer, tier="free")
    text = words(boss.post(page_of(customer), form))
    assert "from Pro (5,000 requests a day) to Free (10 requests a day)" in text
    assert "It made 1,200 requests today" in text
    assert confirmed(boss, page_of(customer), form).status_code == 302
    customer.refresh_from_db()
    assert customer.tier_id == "free"


@pytest.mark.django_db
def test_customer__moved_above_its_use__says_nothing_of_it(boss: Client) -> None:
    customer = make_customer(tier=make_tier("free", daily_requests=10))
    make_tier("pro", daily_requests=500)
    used_today(customer, 10)
    answer = boss.post(page_of(customer), opened(boss, customer, tier="pro"))
    assert list(answer.context["effects"]) == [
        f"{customer} moves from Free (10 requests a day) to Pro (500 requests a day), "
        "from the next request on."
    ]


@pytest.mark.django_db
def test_question__other_input_than_was_asked_about__asks_again(boss: Client) -> None:
    customer = make_customer(tier=make_tier("free"))
    make_tier("pro"), make_tier("max")
    form = opened(boss, customer, tier="pro")
    asked = boss.post(page_of(customer), form).context["confirmed"]
    other = {**form, "tier": "max", "confirmed": asked}
    answer = boss.post(page_of(customer), other)
    assert answer.status_code == 422
    assert "to Max" in words(answer)
    customer.refresh_from_db()
    assert customer.tier_id == "free"


@pytest.mark.django_db
def test_question__a_further_effect_by_now__asks_again(boss: Client) -> None:
    customer = make_customer(tier=make_tier("pro", daily_requests=500))
    make_tier("free", daily_requests=10)
    form = opened(boss, customer, tier="free")
    asked = boss.post(page_of(customer), form).context["confirmed"]
    used_today(customer, 20)
    answer = boss.post(page_of(customer), {**form, "confirmed": asked})
    assert answer.status_code == 422
    assert "It made 20 requests today" in words(answer)


@pytest.mark.django_db
def test_question__changed_before_it_is_confirmed__is_a_conflict(boss: Client) -> None:
    customer = make_customer()
    form = opened(boss, customer, suspended="on")
    asked = boss.post(page_of(customer), form)
    assert "All requests of the customer are refused at once" in words(asked)
    again = {**unchanged_form(asked), "confirmed": asked.context["confirmed"]}
    Customer.objects.update(requests_per_minute=5)
    answer = boss.post(page_of(customer), again)
    assert answer.status_code == 409
    customer.refresh_from_db()
    assert not customer.suspended
    assert not LogEntry.objects.exists()


@pytest.mark.django_db
def test_provider__disabled__names_the_models_that_nothing_else_serves(
    boss: Client,
) -> None:
    provider = make_provider(api_key="sk-first")
    make_route(make_model("alone"), provider)
    both = make_model("both")
    make_route(both, provider), make_route(both)
    make_route(make_model("off", enabled=False), provider)
    form = opened(boss, provider, new_key="sk-new")
    del form["enabled"]
    answer = boss.post(page_of(provider), form)
    text = words(answer)
    assert "Models with such a route: 2." in text
    assert "all requests are refused, for: alone." in text
    assert "sk-" not in answer.content.decode()
    assert "Secret key: enter it again" in text
    assert confirmed(boss, page_of(provider), form).status_code == 302
    saved = Provider.objects.get(pk=provider.pk)
    assert not saved.enabled
    assert saved.open_key() == "sk-new"


@pytest.mark.django_db
def test_provider__question_before_its_key_is_dropped__says_nothing_of_it_yet(
    boss: Client,
) -> None:
    provider = make_provider(api_key="sk-first")
    make_route(provider=provider)
    form = opened(boss, provider, base_url="http://127.0.0.1:8/v1")
    del form["enabled"]
    assert "is deleted" not in words(boss.post(page_of(provider), form))
    assert Provider.objects.get(pk=provider.pk).has_key


@pytest.mark.django_db
@pytest.mark.parametrize("also", ["unused", "disabled"])
def test_provider__without_effect__is_disabled_at_once(boss: Client, also: str) -> None:
    provider = make_provider(enabled=also != "disabled")
    if also == "disabled":
        make_route(provider=provider)
    form = opened(boss, provider)
    form.pop("enabled", None)
    assert boss.post(page_of(provider), form).status_code == 302


@pytest.mark.django_db
def test_model__disabled__is_told(boss: Client) -> None:
    model = make_model("gpt")
    form = opened(boss, model)
    del form["enabled"]
    assert "All requests for gpt are refused at once." in words(
        boss.post(page_of(model), form)
    )
    assert confirmed(boss, page_of(model), form).status_code == 302
    # It is off now: an ordinary save asks nothing.
    assert boss.post(page_of(model), opened(boss, model)).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_model__its_last_route_ended__is_told(boss: Client, how: str) -> None:
    route = make_route(make_model("gpt"))
    form = opened(boss, route.model)
    if how == "disabled":
        del form["routes-0-enabled"]
    else:
        form["routes-0-DELETE"] = "on"
    answer = boss.post(page_of(route.model), form)
    assert "all requests are refused, for: gpt." in words(answer)
    assert Route.objects.get().enabled
    assert confirmed(boss, page_of(route.model), form).status_code == 302
    assert not Route.objects.filter(enabled=True).exists()


@pytest.mark.django_db
def test_route__last_one_disabled__is_told(boss: Client) -> None:
    route = make_route(make_model("gpt"))
    form = opened(boss, route)
    del form["enabled"]
    assert "is refused" not in words(boss.get(page_of(route)))
    assert confirmed(boss, page_of(route), form).status_code == 302
    assert boss.post(page_of(route), opened(boss, route)).status_code == 302


@pytest.mark.django_db
def test_route__not_the_last__is_disabled_at_once(boss: Client) -> None:
    route = make_route()
    make_route(route.model)
    form = opened(boss, route)
    del form["enabled"]
    assert boss.post(page_of(route), form).status_code == 302


@pytest.mark.django_db
def test_routes__of_many_models_at_one_provider__a_few_are_named(boss: Client) -> None:
    provider = make_provider()
    for number in range(11):
        make_route(make_model(f"m{number:02}"), provider)
    form = opened(boss, provider)
    del form["enabled"]
    text = words(boss.post(page_of(provider), form))
    assert "m08, m09 and more." in text
    assert "m10" not in text


@pytest.mark.django_db
def test_purge__of_all_answers__is_confirmed(operator: Client) -> None:
    page = reverse("admin:llm_cacheepoch_add")
    answer = operator.post(page, {})
    assert "All stored answers are purged" in words(answer)
    assert not CacheEpoch.objects.exists()
    assert confirmed(operator, page, {}).status_code == 302
    assert CacheEpoch.objects.get().value == 1


@pytest.mark.django_db
@pytest.mark.parametrize("limit", ["0.5", "0.700001"])
def test_budget__below_what_is_spent_and_held__is_told(
    boss: Client, limit: str
) -> None:
    team = make_team()
    budget = make_budget(team, limit="1")
    make_counter("t", team.key, timezone.now().date(), spent=500_000, reserved=200_001)
    form = opened(boss, budget, limit_usd=limit)
    answer = boss.post(page_of(budget), form)
    assert f"of ${limit}" in words(answer)
    assert f"({team}) are refused at once." in words(answer)
    assert confirmed(boss, page_of(budget), form).status_code == 302
    # It is used up already: an ordinary save asks nothing.
    form = opened(boss, budget, note="Mine")
    assert boss.post(page_of(budget), form).status_code == 302


@pytest.mark.django_db
def test_budget__above_what_is_spent__is_saved_at_once(boss: Client) -> None:
    budget = make_budget(limit="1")
    make_counter("g", "", timezone.now().date(), spent=500_000)
    form = opened(boss, budget, limit_usd="0.6")
    assert boss.post(page_of(budget), form).status_code == 302


@pytest.mark.django_db
def test_budget__added_below_what_is_spent__is_told(boss: Client) -> None:
    make_counter("g", "", timezone.now().date(), spent=500_000)
    page = reverse("admin:billing_budget_add")
    form = {
        "scope": "global",
        "period": "day",
        "limit_usd": "0.5",
        "enabled": "on",
        "hard": "on",
    }
    assert confirmed(boss, page, form).status_code == 302
    assert Budget.objects.get().scope == "global"


@pytest.mark.django_db
def test_budget__that_refuses_nobody_now__is_saved_at_once(boss: Client) -> None:
    make_counter("g", "", timezone.now().date(), spent=500_000)
    soft = make_budget(limit="1", hard=False)
    off = make_budget(limit="1", period="month", enabled=False)
    for budget in (soft, off):
        form = opened(boss, budget, limit_usd="0.1")
        assert boss.post(page_of(budget), form).status_code == 302
