"""The history of backups: what it says, what it takes over, what the schedule does."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from prometheus_client import REGISTRY

from tests.admin.rows import make_backup
from tests.fixtures_backups import BackupPlace, copy_backup
from valuecanvas.backups import history, runs, tasks
from valuecanvas.backups.encryption import seal, unseal
from valuecanvas.backups.errors import DamagedBackup
from valuecanvas.backups.models import Backup, BackupState
from valuecanvas.backups.postgresql import client_programs, databases
from valuecanvas.backups.repository import REHEARSAL, BackupRepository

FAILED = "valuecanvas_backup_failed"
VERIFIED = "valuecanvas_backup_verified_timestamp_seconds"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("age", "ok", "text"),
    [
        (timedelta(hours=3, minutes=9), True, "last verified backup 3 hours ago"),
        (timedelta(hours=23, minutes=59), True, "last verified backup 23 hours ago"),
        (timedelta(hours=26), True, "last verified backup 1 day ago"),
        (timedelta(hours=26, seconds=1), False, "last verified backup 1 day ago"),
        (timedelta(days=3), False, "last verified backup 3 days ago"),
    ],
)
def test_status__at_each_age__is_overdue_after_26_hours(
    age: timedelta, ok: bool, text: str
) -> None:
    now = timezone.now()
    make_backup(started_at=now - age)
    # Neither of these counts.
    make_backup(started_at=now, verified=None)
    make_backup(started_at=now, verified=False)
    make_backup(started_at=now, state=BackupState.DELETED)
    assert history.status(now) == history.BackupStatus(ok, text)


@pytest.mark.django_db
def test_status__none_verified__says_so() -> None:
    make_backup(verified=None)
    assert history.status() == history.BackupStatus(ok=False, text="no verified backup")


@pytest.mark.django_db
def test_metrics__none_so_far__are_absent() -> None:
    assert REGISTRY.get_sample_value(FAILED) is None
    assert REGISTRY.get_sample_value(VERIFIED) is None


@pytest.mark.django_db
def test_metrics__the_last_one_failed__say_so_and_when_the_last_good_one_was() -> None:
    now = timezone.now()
    # Found in the storage: its row is younger than that of the failed one.
    failed = make_backup(state=BackupState.FAILED, verified=None, error="disk full")
    good = make_backup(started_at=now - timedelta(days=1), finished_at=now - timedelta(days=1))  # fmt: skip
    assert REGISTRY.get_sample_value(FAILED) == 1
    assert REGISTRY.get_sample_value(VERIFIED) == good.started_at.timestamp()
    failed.delete()
    assert REGISTRY.get_sample_value(FAILED) == 0


@pytest.mark.django_db
def test_metrics__one_under_way__speak_of_the_one_before() -> None:
    make_backup(verified=False)
    make_backup(state=BackupState.RUNNING, finished_at=None, verified=None)
    assert REGISTRY.get_sample_value(FAILED) == 1


@pytest.mark.django_db
def test_metrics__no_database__are_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    make_backup()

    def away() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(history, "last", away)
    assert REGISTRY.get_sample_value(FAILED) is None


def test_task__no_backup_lately__makes_one_and_then_no_second(
    backup_place: BackupPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = runs.make
    # To verify it is tested elsewhere, and takes long.
    monkeypatch.setattr(runs, "make", lambda row: made(row, verify=False))
    name = tasks.back_up_daily()
    row = Backup.objects.get()
    assert (row.name, row.by, row.state) == (name, "schedule", BackupState.STORED)
    assert tasks.back_up_daily() == ""
    # One that could not be used does not count.
    Backup.objects.update(verified=False)
    assert tasks.back_up_daily() != ""


@pytest.mark.django_db
def test_task__schedule_is_off__makes_none(settings: Any) -> None:
    settings.BACKUP_SCHEDULE = False
    assert tasks.back_up_daily() == ""
    assert not Backup.objects.exists()


@pytest.mark.django_db
def test_schedule__after_migrations__is_there_each_night() -> None:
    row = PeriodicTask.objects.get(task="backups.daily")
    assert row.enabled
    assert (row.crontab.hour, row.crontab.minute) == ("2", "23")


def test_task__of_the_page__makes_that_row(
    backup_place: BackupPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = runs.make
    monkeypatch.setattr(runs, "make", lambda row: made(row, verify=False))
    row = runs.begin("olga")
    tasks.make_backup(str(row.pk))
    row.refresh_from_db()
    assert (row.by, row.state) == ("olga", BackupState.STORED)


def test_task__to_verify_what_is_damaged__fails_and_the_row_says_why(
    stored_backup: Path,
) -> None:
    (stored_backup / "summary.json").write_bytes(b"[]")
    row = make_backup(name=stored_backup.name)
    with pytest.raises(DamagedBackup, match="It is not a document of a backup"):
        tasks.verify_backup(stored_backup.name, "olga")
    row.refresh_from_db()
    assert row.verified is False
    assert "not a document" in row.error


def test_history__after_a_restore__is_taken_over_from_the_storage(
    stored_backup: Path,
) -> None:
    """The restored database was dumped while that backup was under way."""
    later = copy_backup(stored_backup, days=-1)
    own = make_backup(
        name=stored_backup.name, state=BackupState.RUNNING, step="Dump", verified=None
    )
    gone = make_backup()
    call_command("prune_backups")
    own.refresh_from_db()
    gone.refresh_from_db()
    found = Backup.objects.get(name=later.name)
    assert (own.state, own.verified, own.step) == (BackupState.STORED, True, "")
    assert (found.state, found.verified, found.by) == (
        BackupState.STORED,
        True,
        "storage",
    )
    assert len(found.steps) == 8
    assert gone.state == BackupState.DELETED
    call_command("prune_backups")
    assert Backup.objects.count() == 3


def test_history__repaired_backup__counts_again(stored_backup: Path) -> None:
    raw = (stored_backup / REHEARSAL).read_bytes()
    call_command("prune_backups")
    for damaged, verified in ((raw[:-9], False), (raw, True), (None, None)):
        (stored_backup / REHEARSAL).unlink()
        if damaged is not None:
            (stored_backup / REHEARSAL).write_bytes(damaged)
        call_command("prune_backups")
        row = Backup.objects.get()
        assert row.verified is verified
        assert bool(row.error) == (verified is False)


def test_history__result_in_the_storage__is_shown_with_its_failure(
    stored_backup: Path,
) -> None:
    document = unseal((stored_backup / REHEARSAL).read_bytes())
    document["steps"][-1] |= {"ok": False, "detail": "no answer"}
    (stored_backup / REHEARSAL).write_bytes(seal(document))
    call_command("prune_backups")
    row = Backup.objects.get()
    assert (row.verified, row.error) == (False, "Serve a request: no answer")
    assert row.rehearsed_at == datetime.fromisoformat(document["at"])


@pytest.mark.parametrize("state", [BackupState.RUNNING, BackupState.FAILED])
def test_row__of_a_backup_that_is_stored__becomes_that(
    stored_backup: Path, state: BackupState
) -> None:
    make_backup(name=stored_backup.name, state=state, step="Store", error="killed")
    row = runs.row_of(BackupRepository(), stored_backup.name, by="a test")
    assert (row.state, row.step, row.error) == (BackupState.STORED, "", "")
    assert Backup.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_running__its_state_cannot_be_known__stays(settings: Any) -> None:
    row = make_backup(state=BackupState.RUNNING, step="Dump", finished_at=None)
    settings.BACKUP_DATABASE_URL = "postgresql://nobody@127.0.0.1:1/none"
    assert history.find_running() == row


@pytest.mark.django_db(transaction=True)
def test_running__no_worker_took_it__is_failed_after_a_day() -> None:
    for hours, found in ((25, True), (27, False)):
        begun = timezone.now() - timedelta(hours=hours)
        row = make_backup(state=BackupState.RUNNING, started_at=begun, finished_at=None)
        assert (history.find_running() == row) == found
        row.delete()


@pytest.mark.django_db(transaction=True)
def test_lock__of_another_database__is_another(settings: Any) -> None:
    server = client_programs.server()
    other = {**server, "dbname": f"{server['dbname']}_2"}
    with databases.exclusive(server), databases.exclusive(other):
        assert databases.is_locked(server)
        assert databases.is_locked(other)
    assert not databases.is_locked(server)
