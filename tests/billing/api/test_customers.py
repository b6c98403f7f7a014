"""`/api/customers/{user_id}`: read and change a customer."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from billing.models import Customer
from tests.admin.rows import make_counter
from tests.collision import faster
from tests.fixtures_billing import make_customer, make_team, make_tier
from tests.prompts.api.conftest import Caller, key_client, person
from valuecanvas.core.db import epoch

pytestmark = pytest.mark.django_db
ANNA = "/api/customers/anna"


@pytest.fixture
def anna(db: None) -> Customer:
    return make_customer("anna", tier=make_tier("free", daily_requests=10))


@pytest.fixture
def chief(anna: Customer) -> Caller:
    """A client with a key of the scope."""
    return key_client("admin")


def test_get__a_customer__is_described(chief: Caller, anna: Customer) -> None:
    make_counter("c", str(anna.pk), timezone.now().date(), used=7)
    body = chief.get(ANNA).json()
    assert body.pop("created_at")
    assert body == {
        "id": str(anna.pk), "user_id": "anna", "team": None, "tier": "free",
        "suspended": False, "daily_requests": 10, "used_today": 7,
        "requests_per_minute": None, "tokens_per_minute": None,
        "concurrent_requests": None,
    }  # fmt: skip


def test_patch__some_fields__change_and_are_recorded(
    chief: Caller, anna: Customer
) -> None:
    make_tier("pro", daily_requests=500)
    before = epoch.current()
    wanted = {"tier": "pro", "suspended": True, "requests_per_minute": 5}
    answer = chief.patch(ANNA, wanted, format="json")
    assert answer.status_code == 200
    assert answer.json()["daily_requests"] == 500
    anna.refresh_from_db()
    assert (anna.tier_id, anna.suspended, anna.requests_per_minute) == ("pro", True, 5)
    assert epoch.current() > before
    entry = LogEntry.objects.get()
    assert entry.change_message == (
        "Changed tier, suspended, requests_per_minute over the API, "
        f"by key vc-{chief.key.pk}-…."
    )
    assert not entry.user.has_usable_password()
    assert not entry.user.is_active


def test_patch__null__is_the_tiers_limit_again(chief: Caller, anna: Customer) -> None:
    Customer.objects.filter(pk=anna.pk).update(tokens_per_minute=9)
    chief.patch(ANNA, {"tokens_per_minute": None}, format="json")
    anna.refresh_from_db()
    assert anna.tokens_per_minute is None


def test_patch__nothing_new__writes_nothing(chief: Caller, anna: Customer) -> None:
    before = epoch.current()
    assert chief.patch(ANNA, {"tier": "free"}, format="json").status_code == 200
    assert epoch.current() == before
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"tier": "gold"}, "tier", "There is no tier 'gold'. Known: "),
        ({"suspended": "maybe"}, "suspended", "This must be true or false."),
        ({"requests_per_minute": 0}, "requests_per_minute", "greater than or equal to 1"),
        ({"requests_per_minute": 2_000_000}, "requests_per_minute", "less than or equal to 1000000"),
        ({"user_id": "bob"}, "user_id", "Unknown field."),
    ],
)  # fmt: skip
def test_patch__wrong_field__is_named_and_nothing_changes(
    chief: Caller, anna: Customer, body: dict[str, Any], param: str, said: str
) -> None:
    answer = chief.patch(ANNA, {**body}, format="json")
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert said in error["message"]
    assert not LogEntry.objects.exists()


def test_two_of_one_user_id__team_left_out__names_the_choices(chief: Caller) -> None:
    red = make_customer("anna", team=make_team("red"))
    answer = chief.patch(ANNA, {"suspended": True}, format="json")
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (409, "team")
    assert "?team=red, ?team=" in error["message"]
    assert not Customer.objects.filter(suspended=True).exists()
    for team, pk in (("red", str(red.pk)), ("", None)):
        found = chief.get(ANNA, {"team": team}).json()
        assert (found["team"] or "") == team
        assert pk in (None, found["id"])
    answer = chief.patch(f"{ANNA}?team=red", {"suspended": True}, format="json")
    assert answer.json()["suspended"] is True
    assert list(Customer.objects.filter(suspended=True)) == [red]


@pytest.mark.parametrize("asked", ["nobody", "anna?team=blue"])
def test_customer__unknown__is_404(chief: Caller, asked: str) -> None:
    answer = chief.get(f"/api/customers/{asked}")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "customer_not_found")


def test_user_id__with_a_slash__is_found(chief: Caller) -> None:
    make_customer("a/b c")
    assert chief.get("/api/customers/a%2Fb%20c").json()["user_id"] == "a/b c"


def test_access__without_the_scope_or_right__is_refused(anna: Customer) -> None:
    for client in (key_client("llm", "act_as"), person(), person("billing.view_customer")):  # fmt: skip
        assert client.patch(ANNA, {"suspended": True}, format="json").status_code == 403
    assert key_client("llm").get(ANNA).status_code == 403
    assert person("billing.view_customer").get(ANNA).status_code == 200
    editor = person("billing.view_customer", "billing.change_customer")
    editor.patch(ANNA, {"suspended": True}, format="json")
    assert LogEntry.objects.get().user == editor.user
    assert LogEntry.objects.get().change_message == "Changed suspended over the API."


@pytest.mark.django_db(transaction=True)
def test_patch__beside_another_change__keeps_it(chief: Caller, anna: Customer) -> None:
    other = Customer.objects.filter(pk=anna.pk)
    with faster(lambda: other.update(requests_per_minute=5)):
        chief.patch(ANNA, {"suspended": True}, format="json")
    anna.refresh_from_db()
    assert (anna.requests_per_minute, anna.suspended) == (5, True)
