"""Models in the admin: what they say of themselves."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from llm.models import Model
from llm.request.takes import Takes
from tests.fixtures_billing import (
    LONG_AGO,
    make_model,
    make_price,
    make_provider,
    make_route,
)

pytestmark = pytest.mark.django_db

FORM = {
    "kind": "chat",
    "max_output_tokens": "100",
    "enabled": "on",
    "cache_policy": "auto",
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
    assert text.count('name="takes"') == len(Takes)


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


LATER = timezone.now() + timedelta(days=1)
REFUSED = "no price: all requests are refused"


@pytest.mark.parametrize(
    ("priced", "unpriced", "rule", "said"),
    [
        ([], 1, "block", REFUSED),
        ([], 2, "block", REFUSED),
        ([LATER], 0, "block", REFUSED),
        ([], 1, "cap", "1"),
        ([], 0, "block", "none"),
        ([LONG_AGO], 0, "block", "1"),
        ([LONG_AGO], 1, "block", "2"),
    ],
)
def test_list__model_whose_routes_have_no_price__says_that_it_is_refused(
    operator: Client,
    settings: Any,
    priced: list[datetime],
    unpriced: int,
    rule: str,
    said: str,
) -> None:
    settings.LLM_UNPRICED = rule
    model = make_model()
    make_route(model, make_provider(enabled=False))
    for begins in priced:
        route = make_route(model)
        for name in (route.upstream_model, "of another model"):
            make_price(route.provider_id, name, effective_from=begins)
    for _ in range(unpriced):
        make_route(model)
    cells = operator.get("/admin/llm/model/").content.decode()
    shown = cells.split("field-routes_count")[1].split("</td>")[0]
    assert strip_tags(shown.partition(">")[2]).strip() == said
