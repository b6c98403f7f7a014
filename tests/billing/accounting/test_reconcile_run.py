"""What a check leaves behind: a row, figures, a log event, an exit code."""

import datetime as dt
import json
from importlib import import_module
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from prometheus_client import REGISTRY

from billing import metrics, tasks
from billing.accounting import invariants, purge, reconcile
from billing.ledger import commit_now
from billing.models import Counter, LedgerCheck
from tests.fixtures_ledger import Desk, make_settle
from valuecanvas.http.metrics_view import MetricsText

pytestmark = pytest.mark.django_db(transaction=True)
DRIFT = "valuecanvas_ledger_drift"
CHECKED = "valuecanvas_ledger_checked_timestamp_seconds"


@pytest.fixture
def books(desk: Desk) -> None:
    """One billed request."""
    [admitted] = commit_now([desk.admit()])
    commit_now([make_settle(admitted, 40)])


@pytest.fixture
def drift(books: None) -> None:
    """Everyone's counter is one micro-dollar off."""
    Counter.objects.filter(scope="g").update(spent=41)


def events(capsys: pytest.CaptureFixture[str], name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line]
    return [line for line in lines if line["event"] == name]


def command(*args: str) -> str:
    out = StringIO()
    call_command("reconcile", *args, stdout=out)
    return out.getvalue()


def test_run__no_drift__kept_with_all_findings(books: None) -> None:
    kept = reconcile.run("olga")
    kept.refresh_from_db()
    assert (kept.ok, kept.by) == (True, "olga")
    assert kept.started_at <= kept.finished_at
    assert kept.last_day - kept.first_day == dt.timedelta(days=1)
    findings = reconcile.findings_of(kept)
    assert [one.invariant for one in findings] == list(invariants.INVARIANTS)
    assert all(one.ok for one in findings)


def test_run__drift__kept_row_by_row_and_logged(
    drift: None, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    kept = LedgerCheck.objects.get(pk=reconcile.run("olga").pk)
    assert not kept.ok
    [bad] = [one for one in reconcile.findings_of(kept) if not one.ok]
    [row] = bad.rows
    assert (row.scope, row.expected, row.found) == ("g", 40, 41)
    [event] = events(capsys, "ledger.drift")
    assert (event["level"], event["invariant"]) == ("error", "spent")
    assert event["first"][0]["found"] == 41


def test_run__all_days__has_no_first_day(books: None) -> None:
    assert reconcile.run("olga", None).first_day is None


def test_findings__of_an_invariant_that_is_gone__still_shown(books: None) -> None:
    kept = reconcile.run("olga")
    kept.findings = [{"name": "long_gone", "checked": 1, "drifted": 0, "rows": []}]
    [finding] = reconcile.findings_of(kept)
    assert finding.invariant.title == "long_gone"


def test_schedules__migrated_twice__one_hourly_and_one_nightly() -> None:
    migration = import_module("billing.migrations.0005_ledger_schedules")
    ours = PeriodicTask.objects.filter(task=tasks.reconcile_books.name)
    for _ in range(2):
        migration.add(apps, None)
        assert sorted(ours.values_list("kwargs", flat=True)) == ['{"days": 32}', "{}"]
    migration.remove(apps, None)
    assert not ours.exists()


def test_task__no_drift__checks_the_days_it_is_told(books: None) -> None:
    assert tasks.reconcile_books(days=32) is True
    kept = LedgerCheck.objects.get()
    assert kept.by == "schedule"
    assert kept.last_day - kept.first_day == dt.timedelta(days=31)


def test_task__drift__says_so(drift: None) -> None:
    assert tasks.reconcile_books() is False


def test_command__no_drift__prints_every_invariant(books: None) -> None:
    text = command("--fix-nothing")
    assert all(one.name in text for one in invariants.INVARIANTS)
    assert "no drift" in text
    assert LedgerCheck.objects.get().by == "command"


def test_command__drift__exits_with_one_and_changes_nothing(drift: None) -> None:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("reconcile", "--all", stdout=out)
    assert ended.value.code == 1
    assert "expected 40, found 41" in out.getvalue()
    assert "From the first day" in out.getvalue()
    assert Counter.objects.get(scope="g").spent == 41


def test_command__much_drift__prints_the_worst(
    books: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = timezone.now().date()
    Counter.objects.bulk_create(
        Counter(key=f"t:t{n}:{today}", scope="t", scope_id=f"t{n}", day=today, spent=n)
        for n in range(1, 15)
    )
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("reconcile", stdout=out)
    lines = out.getvalue().splitlines()
    assert "  and 4 more" in lines
    assert any("t:t14" in line for line in lines)
    assert not any("t:t1 " in line for line in lines)


@pytest.mark.parametrize("days", ["0", "-3", "40000"])
def test_command__days_out_of_bounds__refused(days: str) -> None:
    with pytest.raises(CommandError, match="--days"):
        command(f"--days={days}")


def test_metrics__never_checked__absent() -> None:
    assert REGISTRY.get_sample_value(CHECKED) is None


def test_metrics__last_check__shown_by_any_process(drift: None) -> None:
    kept = reconcile.run("schedule")
    text = MetricsText().read().decode()
    assert f'{DRIFT}{{invariant="spent"}} 1.0' in text
    assert f'{DRIFT}{{invariant="used"}} 0.0' in text
    assert REGISTRY.get_sample_value(CHECKED) == kept.finished_at.timestamp()


def test_metrics__drift_gone__zero_again(drift: None) -> None:
    reconcile.run("schedule")
    Counter.objects.filter(scope="g").update(spent=40)
    reconcile.run("schedule")
    assert REGISTRY.get_sample_value(DRIFT, {"invariant": "spent"}) == 0


def test_metrics__database_away__absent_and_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(LedgerCheck.objects, "defer", away)
    assert list(metrics.LastCheck().collect()) == []
    assert len(metrics.LastCheck().describe()) == 2


def test_purge__old_checks__go_unless_they_found_something(books: None) -> None:
    for days, ok in ((1, True), (91, True), (91, False)):
        kept = reconcile.run("schedule")
        kept.finished_at -= dt.timedelta(days=days)
        kept.ok = ok
        kept.save()
    assert purge.purge()["checks"] == 1
    assert set(LedgerCheck.objects.values_list("ok", flat=True)) == {True, False}
