"""Two customers of one user id, in two teams, are told apart wherever they are named."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import ApiKey, Customer
from llm.cache import invalidation
from llm.models import CacheEpoch
from tests.admin.rows import (
    make_counter,
    make_feedback,
    make_refusal,
    make_replay,
    make_reservation,
    make_usage,
)
from tests.fixtures_billing import make_api_key, make_budget, make_customer, make_team

pytestmark = pytest.mark.django_db
BOTH = ("ann (growth)", "ann (support)")


@pytest.fixture
def twins() -> list[Customer]:
    teams = [make_team(key) for key in ("growth", "support")]
    return [make_customer("ann", team=team) for team in teams]


def _rows(customer: Customer) -> None:
    make_replay(make_usage(customer))
    make_refusal(customer)
    make_api_key(customer)
    make_budget(customer)
    make_counter("c", str(customer.pk), timezone.now().date(), used=1)
    make_feedback(customer_id=customer.pk, user_id="ann")
    make_reservation(customer_id=customer.pk, team=customer.team_id)
    invalidation.purge(invalidation.customer(customer.pk))


@pytest.mark.parametrize(
    "name",
    [
        "billing_request",
        "billing_usage",
        "billing_refusal",
        "billing_idempotentreplay",
        "billing_apikey",
        "billing_budget",
        "billing_counter",
        "billing_reservation",
        "llm_feedback",
        "llm_cacheepoch",
    ],
)
def test_list__two_of_one_user_id__shows_both_teams(
    boss: Client, twins: list[Customer], name: str
) -> None:
    for customer in twins:
        _rows(customer)
    text = boss.get(reverse(f"admin:{name}_changelist")).content.decode()
    assert [one for one in BOTH if one not in text] == []


def test_autocomplete__two_of_one_user_id__offers_both_teams(
    boss: Client, twins: list[Customer]
) -> None:
    asked = {
        "term": "ann",
        "app_label": "billing",
        "model_name": "apikey",
        "field_name": "customer",
    }
    found = boss.get("/admin/autocomplete/", asked).json()["results"]
    assert {one["text"] for one in found} == set(BOTH)


def _linked(client: Client, page: str, words: str) -> list[Any]:
    """The rows of the list that the page links to under these words."""
    text = client.get(page).content.decode()
    url = text.split(f'">{words}</a>')[0].rsplit('href="', 1)[1].replace("&amp;", "&")
    assert parse_qs(urlsplit(url).query)
    rows: list[Any] = list(client.get(url).context["cl"].result_list)
    return rows


def test_customer__its_requests_and_keys__are_its_own(
    boss: Client, twins: list[Customer]
) -> None:
    usages = [make_usage(one) for one in twins]
    keys = [make_api_key(one)[0] for one in twins]
    page = reverse("admin:billing_customer_change", args=[twins[0].pk])
    assert [one.pk for one in _linked(boss, page, "Requests")] == [usages[0].pk]
    assert _linked(boss, page, "API keys") == [ApiKey.objects.get(pk=keys[0].pk)]


@pytest.mark.parametrize("name", ["billing_usage", "llm_feedback"])
def test_row__of_one_of_them__links_to_its_own_customer(
    boss: Client, twins: list[Customer], name: str
) -> None:
    usage = make_usage(twins[1])
    make_feedback(request_id=usage.pk, customer_id=twins[1].pk, user_id="ann")
    text = boss.get(reverse(f"admin:{name}_change", args=[usage.pk])).content.decode()
    link = reverse("admin:billing_customer_change", args=[twins[1].pk])
    assert f'href="{link}">ann (support)</a>' in text


def test_forget__user_id_of_two__is_told_the_ids_and_takes_one(
    operator: Client, twins: list[Customer]
) -> None:
    add = reverse("admin:llm_cacheepoch_add")
    text = operator.post(add, {"customer": "ann"}).content.decode()
    assert all(f"{one.pk} for {one}" in text for one in twins)
    operator.post(add, {"customer": str(twins[1].pk)})
    assert CacheEpoch.objects.get().target == invalidation.customer(twins[1].pk)


def test_name__customer_without_a_team__is_the_user_id() -> None:
    assert str(make_customer("ann")) == "ann"
