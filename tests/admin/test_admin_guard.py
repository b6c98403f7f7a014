"""Forms that govern traffic: nothing is undone silently, and effects are confirmed."""

from collections.abc import Callable
from html import unescape
from typing import Any, NamedTuple

import pytest
from django.contrib.admin.models import LogEntry
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from billing.models import Budget, Customer, Price, Tier
from llm.models import CacheEpoch, Provider, Route
from tests.admin.page_forms import unchanged_form
from tests.admin.rows import make_counter
from tests.collision import faster
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_model,
    make_price,
    make_provider,
    make_route,
    make_team,
    make_tier,
)


class Edited(NamedTuple):
    """A form: a row of it, a field that somebody changes, and one that the other does."""

    make: Callable[[], Any]
    first: tuple[str, str]
    second: tuple[str, str]
    title: str


def _price() -> Price:
    return make_price(make_provider().key, "upstream")


FORMS = [
    Edited(make_customer, ("requests_per_minute", "7"), ("tokens_per_minute", "9"), "Requests per minute"),
    Edited(make_tier, ("daily_requests", "2000"), ("name", "Other"), "Daily requests"),
    Edited(lambda: make_budget(make_team()), ("limit_usd", "77"), ("note", "Mine"), "Limit (USD)"),
    Edited(_price, ("input_usd", "3"), ("output_usd", "4"), "Input"),
    Edited(make_provider, ("name", "First"), ("base_url", "http://127.0.0.1:8/v1"), "Name"),
    Edited(make_route, ("weight", "7"), ("priority", "3"), "Weight"),
    Edited(make_model, ("max_output_tokens", "77"), ("total_s", "99"), "Max output tokens"),
    Edited(lambda: make_api_key()[0], ("name", "First"), ("concurrent_requests", "4"), "Name"),
    Edited(make_team, ("name", "First"), ("name", "Second"), "Name"),
]  # fmt: skip
NAMES = [
    "customer", "tier", "budget", "price", "provider", "route", "model", "key", "team"
]  # fmt: skip
each_form = pytest.mark.parametrize("edited", FORMS, ids=NAMES)


def page_of(row: Any) -> str:
    opts = row._meta
    return reverse(
        f"admin:{opts.app_label}_{opts.model_name}_change", args=[str(row.pk)]
    )


def words(answer: HttpResponse) -> str:
    return " ".join(unescape(strip_tags(answer.content.decode())).split())


def opened(client: Client, row: Any, **changed: Any) -> dict[str, Any]:
    """The row's form as the page shows it, with some fields changed."""
    return {**unchanged_form(client.get(page_of(row))), **changed}


def confirmed(client: Client, page: str, form: dict[str, Any]) -> HttpResponse:
    """Send the form, and then confirm what it asks."""
    answer = client.post(page, form)
    assert answer.status_code == 422
    sent = {**form, "confirmed": answer.context["confirmed"]}
    sent.pop("_save", None)
    return client.post(page, sent)  # type: ignore[return-value]


@pytest.mark.django_db
@each_form
def test_stale_form__saved__shows_the_difference_and_changes_nothing(
    boss: Client, operator: Client, edited: Edited
) -> None:
    row = edited.make()
    stale = opened(boss, row, **dict([edited.second]))
    name, value = edited.first
    fresh = opened(operator if name != "base_url" else boss, row, **{name: value})
    before = getattr(row, name)
    assert operator.post(page_of(row), fresh).status_code == 302
    answer = boss.post(page_of(row), stale)
    assert answer.status_code == 409
    [shown] = answer.context["differences"]
    assert shown.title == edited.title
    assert shown.before != shown.now
    assert [one.user.get_username() for one in answer.context["changes"]] == ["olga"]
    text = words(answer)
    assert "Nothing was saved." in text
    assert f"olga, just now: Changed {edited.title}." in text
    row.refresh_from_db()
    assert getattr(row, name) != before
    assert str(getattr(row, edited.second[0])) != edited.second[1] or name == "name"


@pytest.mark.django_db
@each_form
def test_stale_form__sent_again__is_saved_over_the_change(
    boss: Client, edited: Edited
) -> None:
    row = edited.make()
    stale = opened(boss, row, **dict([edited.second]))
    boss.post(page_of(row), opened(boss, row, **dict([edited.first])))
    answer = boss.post(page_of(row), stale)
    entered = unchanged_form(answer)
    assert entered[edited.second[0]] == [edited.second[1]]
    assert boss.post(page_of(row), entered).status_code == 302
    row.refresh_from_db()
    assert str(getattr(row, edited.second[0])).startswith(edited.second[1])


@pytest.mark.django_db
@each_form
def test_form__saved_twice_with_the_same_input__is_no_conflict(
    boss: Client, edited: Edited
) -> None:
    row = edited.make()
    form = opened(boss, row, **dict([edited.first]))
    assert boss.post(page_of(row), form).status_code == 302
    assert boss.post(page_of(row), form).status_code == 302


@pytest.mark.django_db(transaction=True)
@each_form
def test_form__saved_by_two_at_once__one_is_told(boss: Client, edited: Edited) -> None:
    row = edited.make()
    form = opened(boss, row, **dict([edited.second]))
    name, value = edited.first

    def other() -> None:
        found = type(row).objects.select_for_update().get(pk=row.pk)
        setattr(found, name, value)
        found.save()

    with faster(other):
        answer = boss.post(page_of(row), form)
    assert answer.status_code == 409
    assert "by a command, an import or the API" in words(answer)
    row.refresh_from_db()
    assert str(getattr(row, name)).startswith(value)


@pytest.mark.django_db
def test_stale_form__wrong_besides__shows_both(boss: Client) -> None:
    tier = make_tier()
    stale = opened(boss, tier, daily_requests="many")
    Tier.objects.filter(pk=tier.pk).update(name="Other")
    answer = boss.post(page_of(tier), stale)
    assert [one.title for one in answer.context["differences"]] == ["Name"]
    assert "Enter a whole number." in words(answer)


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["{", "[]", "[1]", '[1, {"a": 1}]', "null", "[1, 2]"])
def test_revision__not_ours__refuses_the_save(boss: Client, text: str) -> None:
    tier = make_tier()
    form = opened(boss, tier, name="Mine", revision=text)
    assert boss.post(page_of(tier), form).status_code == 409


@pytest.mark.django_db
def test_model__its_route_changed_meanwhile__is_shown_with_its_author(
    boss: Client, operator: Client
) -> None:
    route = make_route(provider=make_provider("acme"), weight=5)
    stale = opened(boss, route.model, total_s="99")
    operator.post(page_of(route), opened(operator, route, weight="70"))
    answer = boss.post(page_of(route.model), stale)
    [shown] = answer.context["differences"]
    assert shown.title == "Route"
    assert "provider Acme" in shown.before
    assert "weight 5," in shown.before
    assert "weight 70," in shown.now
    assert "olga, just now: Changed Weight." in words(answer)
    route.refresh_from_db()
    assert route.weight == 70


@pytest.mark.django_db(transaction=True)
def test_model__its_route_changed_at_the_same_time__is_shown(boss: Client) -> None:
    route = make_route(weight=5)
    stale = opened(boss, route.model, total_s="99")
    with faster(lambda: Route.objects.filter(pk=route.pk).update(weight=70)):
        answer = boss.post(page_of(route.model), stale)
    assert answer.status_code == 409
    route.refresh_from_db()
    assert route.weight == 70


@pytest.mark.django_db
def test_provider__key_replaced_meanwhile__is_told_and_no_secret_is_shown(
    boss: Client,
) -> None:
    provider = make_provider(api_key="sk-first")
    stale = opened(boss, provider, new_key="sk-mine")
    provider.set_key("sk-second")
    provider.save()
    answer = boss.post(page_of(provider), stale)
    assert [one.title for one in answer.context["differences"]] == ["Api key sealed"]
    text = answer.content.decode()
    assert "Secret key: enter it again" in words(answer)
    assert "sk-" not in text
    saved = Provider.objects.get()
    assert bytes(saved.api_key_sealed).hex() not in text
    assert saved.open_key() == "sk-second"


@pytest.mark.django_db
def test_key__its_page__has_no_digest(boss: Client) -> None:
    key, _ = make_api_key()
    assert key.digest not in boss.get(page_of(key)).content.decode()


@pytest.mark.django_db
def test_auditor__looks__is_sent_no_revision(auditor: Client) -> None:
    answer = auditor.get(page_of(make_tier()))
    assert "revision" not in answer.context


# -- effects ---------------------------------------------------------------------


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
