"""T31: full disks, missing programs, lost servers: a backup fails, says why, leaves nothing."""

import os
import resource
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from structlog.testing import capture_logs

from tests.faults.counts import FULL
from tests.faults.report import Case
from tests.fixtures_backups import BackupPlace, copy_backup
from valuecanvas.backups import metrics
from valuecanvas.backups.models import Backup, BackupState
from valuecanvas.backups.postgresql import client_programs
from valuecanvas.core.models import FormResult
from valuecanvas.embedded import postgres

MIB = 1 << 20


@pytest.fixture
def three_mib(transactional_db: None) -> None:
    """So much in the database that no compression makes less of it."""
    until = timezone.now() + timedelta(days=1)
    FormResult.objects.create(id="large", body=os.urandom(3 * MIB), until=until)


@pytest.fixture
def tmpfs(request: pytest.FixtureRequest, backup_place: BackupPlace) -> Iterator[Path]:
    """A file system of 1 MiB in the folder of `request.param`."""
    folder: Path = getattr(backup_place, request.param)
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MIB}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0 and not FULL:
        pytest.skip(f"No tmpfs can be mounted: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    yield folder
    left = list(folder.iterdir())
    subprocess.run(["umount", str(folder)], check=True)
    assert left == []


def failure(place: BackupPlace, *options: str) -> str:
    """Why `manage.py backup` failed. It is told everywhere, and nothing is left."""
    with capture_logs() as lines, pytest.raises(CommandError) as error:
        call_command("backup", "--no-verify", *options)
    text = str(error.value)
    assert error.value.returncode == 1
    [line] = [one for one in lines if one["log_level"] == "error"]
    assert (line["event"], line["reason"]) == ("backup.failed", text)
    assert_failed(place, text)
    return text


def assert_failed(place: BackupPlace, text: str) -> None:
    row = Backup.objects.get()
    assert (row.state, row.error, row.step) == (BackupState.FAILED, text, "")
    assert row.finished_at is not None
    if place.storage.is_dir():
        assert list(place.storage.glob("*/*")) == []
    assert place.rests() == []
    assert client_programs.server()["password"] not in text


def test_disk__full_by_a_limit__ends_with_1_and_leaves_nothing(
    case: Case, backup_place: BackupPlace, three_mib: None
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, 2 * MIB))

    process = backup_place.start("backup", "--no-verify", prepare=limit)
    told, errors = process.communicate()
    case.inject("full disk")
    assert (process.returncode, told) == (1, "")
    last = errors.splitlines()[-1]
    assert "File too large" in last
    assert "BACKUP_WORK_DIR" in last
    assert_failed(backup_place, last.removeprefix("CommandError: "))


@pytest.mark.parametrize(
    ("tmpfs", "remedy"),
    [("work", "BACKUP_WORK_DIR"), ("storage", "The storage of backups failed")],
    indirect=["tmpfs"],
    ids=["work folder", "storage"],
)
def test_disk__full__fails_and_leaves_nothing(
    case: Case, backup_place: BackupPlace, three_mib: None, tmpfs: Path, remedy: str
) -> None:
    text = failure(backup_place)
    case.inject("full disk")
    assert "No space left on device" in text
    assert remedy in text


@pytest.mark.parametrize("tmpfs", ["work"], indirect=True, ids=["work folder"])
def test_disk__full_in_a_restore_for_trial__says_nothing_of_the_backup(
    case: Case, backup_place: BackupPlace, three_mib: None, tmpfs: Path, settings: Any
) -> None:
    small, settings.BACKUP_WORK_DIR = settings.BACKUP_WORK_DIR, str(tmpfs.parent / "w")
    call_command("backup", "--no-verify")
    settings.BACKUP_WORK_DIR = small
    with pytest.raises(CommandError, match="No space left on device"):
        call_command("verify_backup")
    case.inject("full disk")
    row = Backup.objects.get()
    assert (row.state, row.verified) == (BackupState.STORED, None)
    assert "No space left" in row.error
    [failed] = [one for one in metrics.LastBackup().collect() if one.samples]
    assert failed.samples[0].value == 1


@pytest.mark.parametrize(
    ("script", "version", "says"),
    [
        ("printf PGDMP; echo out of luck >&2; exit 1", "", "pg_dump failed, exit status 1: out of luck"),
        ("kill -9 $$", "", "pg_dump failed, exit status -9: it said nothing"),
        ("exit 0", "pg_dump (PostgreSQL) 9.6.1", "is of PostgreSQL 9, older than the server's"),
        ("exit 0", "no version", "There is no pg_dump in"),
    ],
    ids=["half-way", "killed", "older", "of no version"],
)  # fmt: skip
def test_pg_dump__fails_or_is_too_old__is_said_with_the_remedy(
    case: Case, backup_place: BackupPlace, settings: Any, script: str, version: str, says: str
) -> None:  # fmt: skip
    settings.BACKUP_PG_BIN = backup_place.program("pg_dump", script, version=version)
    text = failure(backup_place)
    case.inject("failing pg_dump")
    assert says in text
    assert not version or "Install postgresql-client-" in text


def test_pg_dump__missing__is_said_with_the_remedy(
    case: Case, backup_place: BackupPlace, settings: Any
) -> None:
    settings.BACKUP_PG_BIN = str(backup_place.folder)
    text = failure(backup_place)
    case.inject("missing pg_dump")
    assert f"There is no pg_dump in {backup_place.folder}." in text
    assert "Install postgresql-client-" in text


def test_pg_dump__runs__has_no_password_in_its_arguments(
    case: Case, backup_place: BackupPlace, settings: Any
) -> None:
    script = 'tr "\\\\0" " " < /proc/$$/cmdline > "$folder/seen"; exec "$real" "$@"'
    settings.BACKUP_PG_BIN = backup_place.program("pg_dump", script)
    call_command("backup", "--no-verify")
    case.inject("look at /proc")
    seen = (backup_place.folder / "seen").read_text()
    assert "--snapshot=" in seen
    assert client_programs.server()["password"] not in seen


@pytest.mark.parametrize(
    ("script", "version", "says"),
    [
        ("echo no >&2; exit 1", "", "pg_restore failed, exit status 1: no"),
        ("exit 0", "pg_restore (PostgreSQL) 9.6.1", "older than the server's"),
        ("exit 0", "", "The copy differs: public"),
    ],
    ids=["at once", "older", "does nothing"],
)
def test_pg_restore__fails__the_backup_is_not_usable_and_none_is_deleted(
    case: Case, stored_backup: Path, backup_place: BackupPlace, settings: Any,
    script: str, version: str, says: str,
) -> None:  # fmt: skip
    expired = copy_backup(stored_backup, days=100)
    settings.BACKUP_PG_BIN = backup_place.program("pg_restore", script, version=version)
    with capture_logs() as lines, pytest.raises(CommandError) as error:
        call_command("backup")
    case.inject("failing pg_restore")
    row = Backup.objects.get()
    assert says in row.error
    assert str(error.value) == f"{row.name} is not usable. {row.error}"
    assert (row.state, row.verified) == (BackupState.STORED, False)
    assert "backup.unusable" in {one["event"] for one in lines}
    assert expired.exists()


@pytest.mark.parametrize("which", ["storage", "work"])
def test_folder__of_no_use__is_said(
    case: Case, backup_place: BackupPlace, which: str
) -> None:
    folder: Path = getattr(backup_place, which)
    folder.write_text("a file")
    text = failure_at(backup_place, folder)
    case.inject("unwritable folder")
    assert str(folder) in text


def failure_at(place: BackupPlace, file: Path) -> str:
    try:
        return failure(place)
    finally:
        file.unlink()


def test_server__gone_in_the_middle__fails(
    case: Case, backup_place: BackupPlace, settings: Any, tmp_path: Path
) -> None:
    """One of its own. The history is in another."""
    engine = postgres.start(tmp_path / "own", durable=False)
    try:
        script = f'kill -QUIT {engine.pid}; exec "$real" "$@"'
        settings.BACKUP_PG_BIN = backup_place.program("pg_dump", script)
        settings.BACKUP_DATABASE_URL = engine.url
        text = failure(backup_place)
        case.inject("immediate shutdown")
        assert "pg_dump failed" in text or "The database " in text
    finally:
        settings.BACKUP_DATABASE_URL = ""
        postgres.stop(engine, tmp_path / "own")


def end_sessions(place: BackupPlace, which: str) -> str:
    """A pg_dump that first ends sessions of the database."""
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "  # noqa: S608 - of this file
        f"WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which}"
    )
    psql = f'"$(dirname "$real")/psql" -qAtc "{end}" > "$folder/ended"'
    return place.program("pg_dump", f'{psql}; exec "$real" "$@"')


def test_sessions__all_ended_in_the_middle__fails_and_the_history_says_so(
    case: Case, backup_place: BackupPlace, settings: Any
) -> None:
    settings.BACKUP_PG_BIN = end_sessions(backup_place, "true")
    failure(backup_place)
    case.inject("ended session", ended_by(backup_place))


def test_session__of_the_history_ended__does_no_harm(
    case: Case, backup_place: BackupPlace, settings: Any
) -> None:
    """It is idle while a large database is dumped."""
    its = "application_name <> 'valuecanvas backup'"
    settings.BACKUP_PG_BIN = end_sessions(backup_place, its)
    call_command("backup", "--no-verify")
    assert Backup.objects.get().state == BackupState.STORED
    case.inject("ended session", ended_by(backup_place))


def ended_by(place: BackupPlace) -> int:
    return len((place.folder / "ended").read_text().split())
