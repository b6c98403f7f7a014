"""The Status page: who may see it, and its rows with words and links."""

import pytest
from django.test import Client
from django.urls import reverse

from valuecanvas.status import status_report
from valuecanvas.status.status_report import StatusRow
from valuecanvas.status.types import HealthFinding, HealthState

pytestmark = pytest.mark.django_db
PAGE = "/admin/status/"


@pytest.fixture(autouse=True)
def _not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_report.KEPT, "_due", 0.0)


def test_status__operator_and_auditor__see_every_part(
    operator: Client, auditor: Client
) -> None:
    text = operator.get(PAGE).content.decode()
    for title in ("Database", "Redis", "Providers", "Backups", "Disks", "Version"):
        assert title in text
    assert reverse("admin:llm_queue") in text
    assert auditor.get(PAGE).status_code == 200
    assert 'href="/admin/status/"' in auditor.get("/admin/").content.decode()


def test_status__no_right__is_forbidden(newcomer: Client) -> None:
    assert newcomer.get(PAGE).status_code == 403
    assert 'href="/admin/status/"' not in newcomer.get("/admin/").content.decode()


def test_status__part_that_fails__is_the_headline_and_escaped(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = HealthFinding(HealthState.FAILING, "gone <b>", "Start it.")
    rows = [StatusRow(status_report.CHECKS[1], failing)]
    monkeypatch.setattr(status_report, "run_checks", lambda: rows)
    text = boss.get(PAGE).content.decode()
    assert "Failing: Redis" in text
    assert "Gone &lt;b&gt;" in text
    assert "Start it." in text
