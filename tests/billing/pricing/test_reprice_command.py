"""manage.py reprice: shows a preview, and books with --apply."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from billing.models import Usage
from tests.admin.rows import make_usage
from tests.fixtures_billing import make_budget, make_price

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def request_row() -> Usage:
    """18 tokens for $0.001234."""
    return make_usage(marks=["unpriced"])


def command(*args: str) -> str:
    out = StringIO()
    call_command("reprice", *args, stdout=out)
    return out.getvalue()


def test_reprice__without_apply__shows_and_writes_nothing(request_row: Usage) -> None:
    make_price("some-provider", "some-model", usd="10", output="10")
    text = command()
    assert "some-provider some-model: 1 requests, billed $0.001234" in text
    assert "difference $-0.001054" in text
    assert "Would correct 1 requests by $-0.001054. Book it with --apply." in text
    assert Usage.objects.count() == 1


def test_reprice__apply__books_and_logs(
    request_row: Usage, capsys: pytest.CaptureFixture[str]
) -> None:
    make_price("some-provider", "some-model", usd="10", output="10")
    capsys.readouterr()
    assert "Corrected 1 requests by $-0.001054." in command("--apply")
    assert Usage.objects.get(corrects=request_row.pk)
    [line] = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert event["event"] == "ledger.repriced"
    assert (event["requests"], event["delta_micro_usd"]) == (1, -1054)


def test_reprice__no_room_in_a_budget__says_what_was_not_charged(
    request_row: Usage,
) -> None:
    make_price("some-provider", "some-model", usd="100", output="100")
    make_budget(limit="0")
    assert "$0.000566 not charged: no room in a budget" in command("--apply")


def test_reprice__no_price__says_what_waits(request_row: Usage) -> None:
    text = command("--apply")
    assert "some-provider some-model: 1 requests wait for a price" in text
    assert "Corrected 0 requests" in text
