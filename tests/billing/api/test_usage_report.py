"""`GET /api/usage/report`: exact figures for keys with the scope admin, and for staff."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from billing.usage import reports, rollup
from tests.admin.rows import make_usage
from tests.prompts.api.conftest import Caller, key_client, person

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now() - dt.timedelta(minutes=2)
SPAN = {"from": f"{NOW:%Y-%m-%d}", "to": f"{NOW + dt.timedelta(days=1):%Y-%m-%d}"}


@pytest.fixture
def chief() -> Caller:
    for model, cost in (("a", "0.000001"), ("b", "2")):
        make_usage(model=model, cost_usd=Decimal(cost), created_at=NOW, tags=["x"])
    rollup.catch_up()
    return key_client("admin")


def ask(client: Any, **query: str) -> Any:
    return client.get("/api/usage/report", {**SPAN, **query})


def test_get__grouped_and_compared__has_exact_figures(chief: Caller) -> None:
    body = ask(chief, group_by="model", compare="true", latency="true").json()
    assert [row["keys"] for row in body["rows"]] == [["b"], ["a"]]
    assert body["rows"][1]["figures"]["cost_usd"] == "0.000001"
    assert body["rows"][1]["before"]["requests"] == 0
    assert body["total"]["cost_usd"] == "2.000001"
    assert len(body["total"]["latency_ms"]) == 3
    assert body["until"]


def test_get__filtered__has_those_only(chief: Caller) -> None:
    assert ask(chief, model="a,c").json()["total"]["requests"] == 1
    assert ask(chief, tag="x", bucket="hour").json()["total"]["requests"] == 2
    assert ask(chief, group_by="model", top="1").json()["rows"][0]["keys"] == ["b"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"to": SPAN["from"]}, "'to' must be after 'from'"),
        ({"from": "yesterday"}, "from"),
        ({"group_by": "colour"}, "'colour' is none of team, customer"),
        ({"group_by": "model,tag", "bucket": "hour"}, "use bucket=day"),
        ({"grup_by": "model"}, "Unknown field"),
        ({"top": "0"}, "top"),
    ],
)
def test_get__a_wrong_query__names_the_field_and_the_remedy(
    chief: Caller, query: dict[str, str], said: str
) -> None:
    answer = ask(chief, **query)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_get__without_the_scope_or_the_right__is_refused(chief: Caller) -> None:
    assert ask(key_client("flags:read")).status_code == 403
    assert ask(person("billing.view_usage")).status_code == 200
    assert ask(person()).status_code == 403


def test_get__more_rows_than_one_answer_has__is_400(
    chief: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST_ROWS", 1)
    answer = ask(chief, group_by="model")
    assert answer.status_code == 400
    assert "more than 1 rows" in answer.json()["error"]["message"]
