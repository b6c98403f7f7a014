"""Usage as files: cells that no spreadsheet calculates, and every row once."""

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import StreamingHttpResponse
from django.utils import timezone

from billing.models import Usage
from billing.usage import exports, rollup
from billing.usage.exports import request_lines
from tests.admin.rows import make_usage
from tests.fixtures_billing import make_api_key, make_customer
from tests.prompts.api.conftest import key_client, person
from valuecanvas.core.transfer import downloads
from valuecanvas.core.transfer.downloads import csv_lines, safe_cell

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now() - dt.timedelta(minutes=2)
SPAN = {"from": f"{NOW:%Y-%m-%d}", "to": f"{NOW + dt.timedelta(days=1):%Y-%m-%d}"}
PAYLOADS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|'/c calc'!A0",
    '=HYPERLINK("http://x","y")', "-2+3", "+cmd", "@x", "=", "=\t", "-a", '="a"',
]  # fmt: skip


def body(answer: Any) -> str:
    """All of a streamed answer."""
    assert isinstance(answer, StreamingHttpResponse)

    pieces: Any = answer

    async def read() -> bytes:
        return b"".join([piece async for piece in pieces])

    return async_to_sync(read)().decode()


def cells(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_csv__text_that_begins_a_formula__begins_with_a_quote(payload: str) -> None:
    text = csv_lines([[payload, "fine", 5, Decimal("-1.5")]]).decode()
    [row] = csv.reader(io.StringIO(text, newline=""))
    assert not row[0].startswith(downloads.FORMULA)
    assert row[0].startswith("'")
    assert payload in (row[0][1:], row[0][1:].replace("'=", "="))
    # Numbers stay numbers.
    assert row[1:] == ["fine", "5", "-1.5"]


def test_cell__list__is_its_words() -> None:
    assert safe_cell(["a", "b"]) == "a b"
    assert safe_cell(["=a"]) == "'=a"
    assert safe_cell(None) is None


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_requests__of_several_pages__come_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(exports, "PAGE", 3)
    made = [
        make_usage(created_at=NOW + dt.timedelta(seconds=at // 4), user_id=f"=u{at}")
        for at in range(13)
    ]
    text = b"".join(request_lines(Usage.objects.all(), kind)).decode()
    if kind == "csv":
        rows = cells(text)
    else:
        rows = [json.loads(line) for line in text.splitlines()]
    wanted = sorted(made, key=lambda one: (one.created_at, one.pk))
    assert [row["id"] for row in rows] == [str(one.pk) for one in wanted]
    assert rows[0]["user_id"] == ("'" if kind == "csv" else "") + wanted[0].user_id
    assert Decimal(rows[0]["cost_usd"]) == wanted[0].cost_usd


def test_report__as_a_file__has_the_same_figures() -> None:
    make_usage(model="=a", cost_usd=Decimal(2), created_at=NOW)
    make_usage(model="b", cost_usd=Decimal("0.000001"), created_at=NOW)
    rollup.catch_up()
    client = key_client("admin")
    asked = {**SPAN, "group_by": "model", "compare": "true"}
    answer = client.get("/api/usage/report", {**asked, "download": "csv"})
    assert "attachment" in answer["Content-Disposition"]
    first, second = cells(body(answer))
    assert (first["model"], first["cost_usd"], first["requests_before"]) == ("'=a", "2.000000", "0")  # fmt: skip
    assert (second["model"], second["cost_usd"]) == ("b", "0.000001")
    answer = client.get("/api/usage/report", {**asked, "download": "ndjson"})
    rows = [json.loads(line) for line in body(answer).splitlines()]
    assert [row["model"] for row in rows] == ["=a", "b"]
    by_day = client.get("/api/usage/report", {**asked, "bucket": "day", "download": "csv"})  # fmt: skip
    assert cells(body(by_day))[0]["day"].startswith(SPAN["from"])
    assert client.get("/api/usage/report", {**SPAN, "download": "xls"}).status_code == 400  # fmt: skip


def test_export__with_filters__has_those_rows_only() -> None:
    ann = make_customer()
    mine = make_usage(ann, model="a", tags=["x", "y"], prompt_key="p", prompt_version=2, created_at=NOW)  # fmt: skip
    make_usage(ann, model="b", tags=["z"], created_at=NOW)
    make_usage(ann, model="a", created_at=NOW - dt.timedelta(days=3))
    client = person("billing.view_usage")

    def ids(**filters: str) -> list[str]:
        answer = client.get("/api/usage/export", {**SPAN, **filters})
        return [json.loads(line)["id"] for line in body(answer).splitlines()]

    assert len(ids()) == 2
    for filters in (
        {"model": "a,c"},
        {"tag": "y,q"},
        {"prompt": "p"},
        {"prompt_version": "p@2"},
        {"customer": str(ann.pk), "model": "a"},
    ):
        assert ids(**filters) == [str(mine.pk)]
    for nothing in ({"customer": "nobody"}, {"prompt_version": "p"}, {"team": "t"}):
        assert ids(**nothing) == []


def test_export__key_without_the_scope_admin__gets_its_own_rows() -> None:
    key, text = make_api_key(ann := make_customer())
    own = make_usage(ann, created_at=NOW)
    other = make_usage(created_at=NOW)
    client = key_client("llm")
    headers = {"HTTP_AUTHORIZATION": f"Bearer {text}"}
    for path in ("/api/usage/export", "/api/usage/report"):
        asked = {**SPAN, "customer": str(other.customer_id)}
        refused = client.get(path, asked, **headers)
        assert (refused.status_code, refused.json()["error"]["param"]) == (403, "customer")  # fmt: skip
    rows = body(client.get("/api/usage/export", SPAN, **headers)).splitlines()
    assert [json.loads(row)["id"] for row in rows] == [str(own.pk)]
    rollup.catch_up()
    report = client.get("/api/usage/report", SPAN, **headers).json()
    assert report["total"]["requests"] == 1
    assert key_client("flags:read").get("/api/usage/report", SPAN).status_code == 403
