"""Models in the admin: what they say of themselves."""

import pytest
from django.test import Client

from llm.models import Model
from tests.fixtures_billing import make_model

pytestmark = pytest.mark.django_db

FORM = {
    "kind": "chat",
    "max_output_tokens": "100",
    "enabled": "on",
    "cache_scope": "customer",
    "first_token_s": "20",
    "between_tokens_s": "15",
    "total_stream_s": "300",
    "total_s": "120",
    "routes-TOTAL_FORMS": "0",
    "routes-INITIAL_FORMS": "0",
}


def page(model: Model) -> str:
    return f"/admin/llm/model/{model.pk}/change/"


def test_model__what_it_takes__is_ticked_and_kept(operator: Client) -> None:
    model = make_model()
    form = {**FORM, "takes": ["text", "tools"]}
    assert operator.post(page(model), form).status_code == 302
    model.refresh_from_db()
    assert model.takes == ["text", "tools"]
    text = operator.get(page(model)).content.decode()
    assert text.count('name="takes"') == len(Model.Takes)


def test_model__nothing_ticked__says_nothing(operator: Client) -> None:
    model = make_model(takes=["text"])
    assert operator.post(page(model), FORM).status_code == 302
    model.refresh_from_db()
    assert model.takes == []


def test_model__takes_no_text__is_told_in_the_form(operator: Client) -> None:
    model = make_model()
    answer = operator.post(page(model), {**FORM, "takes": ["tools"]})
    assert "Tick text too, or nothing at all." in answer.content.decode()
    model.refresh_from_db()
    assert model.takes == []
