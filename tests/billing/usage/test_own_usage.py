"""A key holder's own use: over the API, and on the page /usage."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.auth import keys
from billing.models import ApiKey, Customer
from billing.usage.own_page import COOKIE
from tests.admin.rows import make_counter
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_team,
    make_tier,
)
from tests.prompts.api.conftest import key_client, person

pytestmark = pytest.mark.django_db
ME, PAGE = "/api/usage/me", "/usage"


@pytest.fixture
def anna() -> Customer:
    pro = make_tier("pro", daily_requests=500, max_output_tokens=4096)
    free = make_tier("free", daily_requests=10, upgrade_to=pro)
    return make_customer("anna", tier=free, team=make_team("blue"))


@pytest.fixture
def key(anna: Customer) -> tuple[ApiKey, str]:
    today = timezone.now().date()
    make_counter("c", str(anna.pk), today, used=4, spent=1_500_000, reserved=20)
    make_counter("c", str(anna.pk), today - timedelta(days=40), used=9, spent=9)
    make_counter("c", str(make_customer("other").pk), today, used=99, spent=10**9)
    make_counter("t", "blue", today, spent=7_000_000)
    found = make_api_key(anna)
    make_budget(anna, limit="2")
    make_budget(found[0], limit="5", period="total", hard=False)
    make_budget(make_team("blue2"), limit="1")
    make_budget(limit="1000")
    return found


def test_me__key_of_a_customer__has_its_own_figures_only(
    key: tuple[ApiKey, str],
) -> None:
    client = Client(headers={"Authorization": f"Bearer {key[1]}"})
    body = client.get(ME).json()
    assert (body["user_id"], body["team"]) == ("anna", "blue")
    assert body["today"] == {"requests": 4, "spent_usd": "1.500000"}
    assert body["month"] == {"requests": 4, "spent_usd": "1.500000"}
    assert sum(one["requests"] for one in body["days"]) == 4
    quota = body["quota"]
    assert (quota["limit"], quota["used"], quota["left"]) == (10, 4, 6)
    assert [
        (one["scope"], one["period"], one["hard"], one["limit_usd"], one["spent_usd"])
        for one in body["budgets"]
    ] == [
        ("customer", "day", True, "2.000000", "1.500000"),
        ("key", "total", False, "5.000000", "0.000000"),
    ]
    assert (body["tier"]["key"], body["next_tier"]["daily_requests"]) == ("free", 500)


def test_me__person_or_key_without_the_scope__is_refused(anna: Customer) -> None:
    assert key_client("flags:read").get(ME).status_code == 403
    answer = person("billing.view_usage").get(ME)
    assert (answer.status_code, "API key" in answer.content.decode()) == (403, True)
    assert Client().get(ME).status_code == 401


def sign_in(client: Client, text: str) -> str:
    answer = client.post(PAGE, {"key": text}, follow=True)
    return answer.content.decode()


def test_page__right_key__shows_use_budgets_and_the_next_tier(
    key: tuple[ApiKey, str], client: Client
) -> None:
    text = sign_in(client, f" {key[1]} ")
    assert "Usage of anna (blue)" in text
    assert "4 of 10 requests of today; 6 left" in text
    assert "$1.50 of $2.00" in text
    assert "(alerts only)" in text
    assert "$1,000" not in text
    assert "500" in text
    cookie = client.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", PAGE)  # fmt: skip
    secret = key[1].rsplit("-", 1)[-1]
    assert secret not in text + cookie.value
    assert client.get(PAGE).headers["Cache-Control"].startswith("max-age=0, no-cache")


@pytest.mark.parametrize("how", ["revoked", "suspended", "forged", "out"])
def test_page__signed_in_no_more__asks_for_the_key(
    key: tuple[ApiKey, str], client: Client, how: str
) -> None:
    sign_in(client, key[1])
    if how == "revoked":
        keys.revoke(key[0])
    elif how == "suspended":
        Customer.objects.filter(user_id="anna").update(suspended=True)
    elif how == "forged":
        client.cookies[COOKIE] = key[0].pk
    else:
        client.post(PAGE, {"out": "1"})
    text = client.get(PAGE).content.decode()
    assert "Sign in with your API key" in text
    assert ("revoked" in text or "suspended" in text) == (how in ("revoked", "suspended"))  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "vc-x", "vc-aaaaaaaaaaaa-wrong", "\0", "x" * 5000]
)
def test_page__wrong_key__says_so_without_repeating_it(
    client: Client, key: tuple[ApiKey, str], text: str
) -> None:
    answer = client.post(PAGE, {"key": text})
    assert answer.status_code == 401
    assert "Incorrect API key" in answer.content.decode()
    assert text not in answer.content.decode() or not text
    assert COOKIE not in client.cookies


def test_page__many_wrong_keys__block_the_address(
    client: Client, key: tuple[ApiKey, str], settings: Any
) -> None:
    settings.AUTH_FAILURES_PER_MINUTE = 3
    for _ in range(4):
        wrong = keys.generate()[0]
        answer = client.post(PAGE, {"key": wrong})
    assert answer.status_code == 429
    assert "Too many wrong API keys" in answer.content.decode()


def test_page__nothing_used__says_so(client: Client) -> None:
    _, text = make_api_key(make_customer(tier=make_tier(daily_requests=0)))
    shown = sign_in(client, text)
    assert "No requests this month so far." in shown
    assert "No budget limits this key" in shown
