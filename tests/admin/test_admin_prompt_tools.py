"""Cost, usage and trying of prompts: the parts of their page that need the ledger."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from billing.models import Customer, Usage
from llm.gateway import gateway_thread
from llm.models import Model
from llm.prompting import metrics
from prompts.models import Prompt
from tests.admin.prompt_rows import make_prompt, make_version, publish
from tests.admin.rows import make_usage
from tests.demo_process import DemoProcess
from tests.fixtures_billing import (
    make_customer,
    make_model,
    make_price,
    make_provider,
    make_route,
    make_tier,
)


def url_of(prompt: Prompt, name: str) -> str:
    return f"/admin/llm/model/prompts/{prompt.pk}/{name}/"


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.fixture
def prompt(db: None) -> Prompt:
    return make_prompt("canvas.generate", versions=2, live=1)


# -- cost ----------------------------------------------------------------------------


def priced(name: str, usd: str = "1") -> Model:
    route = make_route(make_model(name, max_output_tokens=1000))
    make_price(route.provider_id, name, usd=usd)
    return route.model


def estimate(client: Client, prompt: Prompt, **fields: str) -> Any:
    sent = {"template": "x" * 400, "model": "", "max_tokens": "", **fields}
    return client.post(url_of(prompt, "estimate"), sent)


def test_estimate__model_named__its_price_alone(
    operator: Client, prompt: Prompt
) -> None:
    priced("cheap")
    priced("dear", usd="100")
    answer = estimate(operator, prompt, model="dear", max_tokens="50")
    cost = answer.context["cost"]
    [line] = cost.lines
    # 400 bytes are about 100 tokens, and a message has a frame of 8.
    assert cost.tokens == 108
    assert line.words_usd == Decimal(108 * 100) / 1_000_000
    assert line.most_usd == line.words_usd + Decimal(50 * 200) / 1_000_000
    assert "About <strong>108 tokens</strong>" in text_of(answer)


def test_estimate__longer_than_tiers_allow__says_which_and_how_long(
    operator: Client, prompt: Prompt
) -> None:
    for name, most in [("Small", 500), ("Middle", 1500), ("Large", 2000)]:
        make_tier(name=name, max_output_tokens=most)
    text = text_of(estimate(operator, prompt, max_tokens="2000"))
    assert "Small 500 tokens, Middle 1,500 tokens." in text
    assert "Large" not in text
    for fits in ("500", ""):
        text = text_of(estimate(operator, prompt, max_tokens=fits))
        assert "Answers are shorter in some tiers" not in text


def test_estimate__no_model__some_that_can_answer(
    operator: Client, prompt: Prompt
) -> None:
    for number in range(6):
        priced(f"model-{number}")
    make_route(make_model("off", enabled=False))
    assert len(estimate(operator, prompt).context["cost"].lines) == 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "gone"}, "There is no model “gone”"),
        ({}, "No model can answer yet"),
        ({"template": ""}, "Nothing to count yet"),
    ],
)
def test_estimate__nothing_to_tell__says_what_to_do(
    operator: Client, prompt: Prompt, fields: dict[str, str], message: str
) -> None:
    assert message in text_of(estimate(operator, prompt, **fields))


def test_estimate__no_price_or_route__says_so(operator: Client, prompt: Prompt) -> None:
    make_route(make_model("unpriced"))
    make_model("alone")
    text = text_of(estimate(operator, prompt, model="unpriced"))
    assert "no price set" in text
    text = text_of(estimate(operator, prompt, model="alone"))
    assert "“alone” has no enabled route" in text


def test_estimate__silly_number__is_passed_over(
    operator: Client, prompt: Prompt
) -> None:
    priced("cheap")
    answer = estimate(operator, prompt, model="cheap", max_tokens="many")
    assert answer.context["cost"].lines[0].longest == 1000


def test_models__asked__chat_models_as_options(operator: Client) -> None:
    make_model("one")
    make_model("two", kind="embedding")
    text = text_of(operator.get("/admin/llm/model/prompts/models/"))
    assert text == '<option value="one">'


@pytest.mark.parametrize("name", ["estimate", "usage", "try"])
def test_tools__stranger__forbidden(
    newcomer: Client, prompt: Prompt, name: str
) -> None:
    method = newcomer.post if name == "estimate" else newcomer.get
    assert method(url_of(prompt, name)).status_code == 403


# -- usage ---------------------------------------------------------------------------


def use(version: int, **fields: Any) -> Usage:
    return make_usage(prompt_key="canvas.generate", prompt_version=version, **fields)


def test_usage__requests__figures_and_chart_by_version(
    operator: Client, prompt: Prompt
) -> None:
    use(1, latency_ms=100, cost_usd=Decimal("0.002"))
    use(1, status="error")
    use(2, latency_ms=900, cost_usd=Decimal("0.004"))
    answer = operator.get(url_of(prompt, "usage"))
    rows = answer.context["usage"].rows
    assert [(row.version, row.requests.value) for row in rows] == [("2", 1), ("1", 2)]
    assert [row.errors.value for row in rows] == [0, 50]
    text = text_of(answer)
    assert "Version 2" in text
    assert text.count("<rect ") == 2
    assert "none yet" in text


def test_usage__more_versions_than_colours__the_rest_together(
    operator: Client, prompt: Prompt
) -> None:
    for version in range(1, 8):
        use(version)
    chart = operator.get(url_of(prompt, "usage")).context["usage"].chart
    assert [name for name, _ in chart.series] == ["7", "6", "5", "4", "other"]
    assert chart.top == 7
    # Columns end at the ground, and the highest reaches the top.
    assert max(block.y + block.height for block in chart.blocks) == 120
    assert min(block.y for block in chart.blocks) == 0


@pytest.mark.parametrize(
    ("span", "count"), [("day", 1), ("week", 2), ("month", 3), ("century", 2)]
)
def test_usage__span__only_its_requests(
    operator: Client, prompt: Prompt, span: str, count: int
) -> None:
    now = timezone.now()
    for days in (0, 3, 20):
        use(1, created_at=now - timedelta(days=days, minutes=1))
    answer = operator.get(url_of(prompt, "usage"), {"span": span})
    assert answer.context["usage"].rows[0].requests.value == count


def test_usage__none__says_what_will_appear(operator: Client, prompt: Prompt) -> None:
    assert "No requests with this prompt" in text_of(operator.get(url_of(prompt, "usage")))  # fmt: skip


def test_usage__ledger_too_busy__says_so(
    operator: Client, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(window: object) -> list[object]:
        raise DatabaseError("canceling statement due to statement timeout")

    monkeypatch.setattr(metrics, "figures", busy)
    text = text_of(operator.get(url_of(prompt, "usage")))
    assert "took too long for these figures" in text


def test_usage__no_right_to_requests__says_whom_to_ask(
    operator: Client, prompt: Prompt
) -> None:
    group = Group.objects.get(name="Operator")
    group.permissions.remove(*group.permissions.filter(codename="view_usage"))
    assert "no right to see requests" in text_of(operator.get(url_of(prompt, "usage")))


# -- try it --------------------------------------------------------------------------


@pytest.fixture
def _closed_door(transactional_db: None) -> Iterator[None]:
    yield
    gateway_thread().close()


@pytest.fixture
def demo(demo_provider: DemoProcess, transactional_db: None) -> str:
    provider = make_provider("demo", base_url=demo_provider.url)
    make_route(make_model("demo-chat"), provider, upstream_model="demo-chat")
    make_price("demo", "demo-chat")
    return "demo-chat"


@pytest.fixture
def anna(transactional_db: None) -> Customer:
    return make_customer("anna")


def attempt(client: Client, prompt: Prompt, payer: Customer, **fields: str) -> Any:
    sent = {
        "left": "1",
        "right": "2",
        "model": "demo-chat",
        "customer": str(payer.pk),
        "value:business": "a bakery",
        **fields,
    }
    return client.post(url_of(prompt, "try"), sent, follow=True)


@pytest.mark.django_db(transaction=True)
def test_try__two_versions__both_answer_and_are_recorded(
    operator: Client, demo: str, anna: Customer, prompt: Prompt, _closed_door: None
) -> None:
    answer = attempt(operator, prompt, anna)
    answers = answer.context["answers"]
    assert [one.version for one in answers] == [1, 2]
    assert all(one.done and one.done.content for one in answers), answers
    rows = Usage.objects.order_by("prompt_version")
    assert [(row.prompt_key, row.prompt_version) for row in rows] == [
        ("canvas.generate", 1),
        ("canvas.generate", 2),
    ]
    text = text_of(answer)
    assert all(str(row.pk) in text for row in rows)


@pytest.mark.django_db(transaction=True)
def test_try__variable_missing__the_error_names_it(
    operator: Client, demo: str, anna: Customer, prompt: Prompt, _closed_door: None
) -> None:
    answer = attempt(operator, prompt, anna, right="", **{"value:business": ""})
    [outcome] = answer.context["answers"]
    assert "business" in outcome.error.message
    assert "Fill in the values that the error names" in text_of(answer)
    assert not Usage.objects.filter(status="ok").exists()


def test_try__no_model_anywhere__says_to_choose_one(
    operator: Client, prompt: Prompt
) -> None:
    answer = attempt(operator, prompt, make_customer(), right="", model="")
    assert "Choose a model: version 1 has none" in text_of(answer)
    assert not Usage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_try__version_with_a_model__is_asked_without_choosing_one(
    operator: Client, demo: str, anna: Customer, prompt: Prompt, _closed_door: None
) -> None:
    make_version(prompt, "Say hello to {{business}}.", model="demo-chat")
    answer = attempt(operator, prompt, anna, left="3", right="", model="")
    [outcome] = answer.context["answers"]
    assert outcome.done is not None, outcome.error
    assert outcome.done.model == "demo-chat"


def test_try__page__live_and_newest_side_by_side(
    operator: Client, prompt: Prompt
) -> None:
    answer = operator.get(url_of(prompt, "try"))
    form = answer.context["form"]
    assert (form["left"].value(), form["right"].value()) == (1, 2)
    assert [field.label for field in form.values()] == ["business"]


def test_try__variables_of_included_prompts__are_asked_for(
    operator: Client, prompt: Prompt
) -> None:
    variables = [{"name": "tone", "description": "How", "default": "plain"}]
    inner = make_prompt("house.style")
    make_version(inner, "Write {{tone}} words.", variables=variables)
    publish(inner, 1)
    make_version(prompt, "{{> house.style}} {{business}}")
    answer = operator.get(url_of(prompt, "try"), {"left": "3", "right": ""})
    fields = answer.context["form"].values()
    assert sorted(field.label for field in fields) == ["business", "tone"]
    assert "How Empty: plain" in text_of(answer)


@pytest.mark.parametrize("wrong", [{"left": "9"}, {"left": "x"}, {"customer": ""}])
def test_try__wrong_field__nothing_is_sent(
    operator: Client, prompt: Prompt, wrong: dict[str, str]
) -> None:
    answer = attempt(operator, prompt, make_customer(), model="", **wrong)
    assert answer.context["answers"] == []
    assert not Usage.objects.exists()


def test_try__prompt_without_versions__opens(operator: Client) -> None:
    answer = operator.get(url_of(make_prompt(), "try"))
    assert "have no variables" in text_of(answer)
