"""Forms that govern traffic: nothing is undone silently, and effects are confirmed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.test import Client

from billing.models import Price, Tier
from llm.models import Provider, Route
from tests.admin.page_forms import opened, page_of, unchanged_form, words
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
