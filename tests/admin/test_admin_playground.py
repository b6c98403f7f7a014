"""The playground: a real request through the real pipeline, from the admin."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from billing.models import Customer, Usage
from llm.admin.playground import SAMPLES
from llm.gateway import gateway_thread
from llm.models import Provider
from tests.demo_process import DemoProcess
from tests.fixtures_billing import (
    make_budget,
    make_customer,
    make_model,
    make_price,
    make_provider,
    make_route,
    make_tier,
)

PAGE = "/admin/llm/model/playground/"
# The pipeline has a thread and connections of its own: it must see committed rows.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _closed_door(transactional_db: None) -> Iterator[None]:
    yield
    gateway_thread().close()


@pytest.fixture
def provider(demo_provider: DemoProcess) -> Provider:
    return make_provider("demo", name="Demo", base_url=demo_provider.url)


@pytest.fixture
def model(provider: Provider) -> str:
    name = "demo-chat"
    make_route(make_model(name), provider, upstream_model=name)
    make_price(provider.key, name, usd="1")
    return name


@pytest.fixture
def customer() -> Customer:
    return make_customer("anna")


def form(payer: Customer, model_name: str, **fields: Any) -> dict[str, Any]:
    return {
        "customer": str(payer.pk),
        "model": model_name,
        "system": "",
        "message": SAMPLES[0].text,
        "temperature": "",
        "max_tokens": "",
        **fields,
    }


def send(client: Client, payer: Customer, model_name: str, **fields: Any) -> Any:
    """The page with the answer."""
    return client.post(PAGE, form(payer, model_name, **fields), follow=True)


def test_page__first_visit__ready_to_send(
    operator: Client, model: str, customer: Customer
) -> None:
    answer = operator.get(PAGE)
    initial = answer.context["form"].initial
    assert (initial["customer"], initial["model"].pk) == (customer, model)
    assert "Business model canvas" in answer.content.decode()


def test_page__operator_who_is_a_customer__is_offered_itself(
    operator: Client, model: str, customer: Customer
) -> None:
    own = make_customer("olga")
    assert operator.get(PAGE).context["form"].initial["customer"] == own


def test_page__nothing_can_answer__says_what_to_do(operator: Client) -> None:
    assert "No model can answer yet" in operator.get(PAGE).content.decode()


@pytest.mark.parametrize("method", ["get", "post"])
def test_page__without_the_right__forbidden(auditor: Client, method: str) -> None:
    assert getattr(auditor, method)(PAGE).status_code == 403
    assert not Usage.objects.exists()


def test_send__canvas__answer_with_cost_route_timing_and_row(
    operator: Client, model: str, customer: Customer
) -> None:
    answer = send(operator, customer, model)
    done = answer.context["answer"].done
    text = answer.content.decode()
    usage = Usage.objects.get()
    assert done.content[:20] in text
    assert f"/admin/billing/usage/{usage.pk}/change/" in text
    assert "demo-chat → demo:demo-chat" in text
    assert usage.customer_id == customer.pk
    assert usage.cost_usd == done.cost_usd > 0


def test_send__parameters__reach_the_provider(
    operator: Client, model: str, customer: Customer
) -> None:
    fields = {"temperature": "0.5", "max_tokens": "5", "system": "Be brief."}
    done = send(operator, customer, model, **fields).context["answer"].done
    assert done.completion_tokens <= 5


def test_send__user_without_right_to_requests__gets_no_link(
    operator: Client, model: str, customer: Customer
) -> None:
    user = User.objects.get(username="olga")
    user.groups.get().permissions.remove(
        *user.groups.get().permissions.filter(codename="view_usage")
    )
    text = send(operator, customer, model).content.decode()
    assert "/admin/billing/usage/" not in text
    assert str(Usage.objects.get().pk) in text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"message": ""}, "This field is required"),
        ({"model": "no-such-model"}, "Select a valid choice"),
        ({"customer": ""}, "This field is required"),
        ({"temperature": "9"}, "less than or equal to 2"),
        ({"max_tokens": "0"}, "greater than or equal to 1"),
    ],
)
def test_send__wrong_field__nothing_is_sent(
    operator: Client, model: str, customer: Customer, wrong: Any, message: str
) -> None:
    answer = send(operator, customer, model, **wrong)
    assert message in answer.content.decode()
    assert not Usage.objects.exists()


def test_send__quota_used_up__friendly_words_and_a_remedy(
    operator: Client, model: str
) -> None:
    poor = make_customer(tier=make_tier(daily_requests=0))
    answer = send(operator, poor, model)
    text = answer.content.decode()
    assert answer.context["answer"].error.code == "insufficient_quota"
    assert "give it a higher tier" in text
    assert "HTTP 429" in text


def test_send__budget_used_up__says_to_raise_it(
    operator: Client, model: str, customer: Customer
) -> None:
    make_budget(customer, limit="0")
    text = send(operator, customer, model).content.decode()
    assert "Raise the budget" in text


def test_send__suspended_customer__says_so(operator: Client, model: str) -> None:
    gone = make_customer(suspended=True)
    assert "Resume the customer" in send(operator, gone, model).content.decode()


def test_send__no_price__says_where_to_add_it(
    operator: Client, provider: Provider, customer: Customer
) -> None:
    make_route(make_model("unpriced"), provider, upstream_model="unpriced")
    text = send(operator, customer, "unpriced").content.decode()
    assert "under Prices" in text


def test_send__provider_is_down__points_at_its_own_words(
    operator: Client, customer: Customer
) -> None:
    dead = make_provider("dead")
    make_route(make_model("dead-model"), dead, upstream_model="dead-model")
    make_price("dead", "dead-model")
    answer = send(operator, customer, "dead-model")
    assert answer.context["answer"].error.status in (502, 503)
    assert "Failed attempts" in answer.content.decode()


def test_send__angle_brackets__stay_text(
    operator: Client, model: str, customer: Customer, provider: Provider
) -> None:
    words = "<script>alert(1)</script>"
    answer = send(operator, customer, model, message=words)
    assert words not in answer.content.decode()
    assert Usage.objects.get().cost_usd > Decimal(0)
