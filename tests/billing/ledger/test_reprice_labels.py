"""A correction is found wherever its request is: by its label too."""

from dataclasses import replace

import pytest

from billing.ledger import Admitted, commit_now
from billing.ledger.sql import CHOSEN
from billing.models import Usage
from billing.pricing import corrections, reprice
from tests.fixtures_billing import make_price
from tests.fixtures_ledger import Desk, make_settle
from valuecanvas.core.db import epoch

pytestmark = pytest.mark.django_db(transaction=True)


def test_reprice__labelled_request__corrects_it_under_its_label() -> None:
    [held] = commit_now([Desk(epoch.current()).admit()])
    assert isinstance(held, Admitted)
    bill = make_settle(held, 1500, prompt_tokens=100, marks=("unpriced",), provider="p", upstream_model="um")  # fmt: skip
    commit_now([replace(bill, facts={**bill.facts, "end_user": "ann"})])
    make_price("p", "um", usd="2", output="2")
    reprice.apply()
    rows = Usage.objects.filter(end_user="ann").order_by("created_at")
    assert [row.status for row in rows] == ["ok", "correction"]


def test_copied__whatever_chose_or_names_a_request__is_among_it() -> None:
    assert set(CHOSEN) <= set(corrections.COPIED)
