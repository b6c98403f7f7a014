"""Processes that make or verify a backup: killed ones, and two at once."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import CommandError, call_command
from prometheus_client import REGISTRY

from tests.fixtures_backups import BackupPlace, scratch_databases, wait_until
from valuecanvas.backups import history, runs, tasks
from valuecanvas.backups.models import Backup, BackupState
from valuecanvas.backups.postgresql import client_programs, databases

WAIT = (
    'echo $$ > "$folder/pid"; while [ ! -e "$folder/go" ]; do sleep 0.05; done\n'
    'exec "$real" "$@"'
)
BUSY = "Another backup, or a restore, is under way; wait until it has ended."


@pytest.fixture
def gate(backup_place: BackupPlace) -> Iterator[Path]:
    """A program that waits writes its `pid` there, and goes on once `go` is there."""
    yield backup_place.folder
    (backup_place.folder / "go").touch()
    # Nobody waits for the child of a killed process.
    pid = int((backup_place.folder / "pid").read_text())
    wait_until(lambda: not psutil.pid_exists(pid) or is_zombie(pid))


def is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def kill(process: "subprocess.Popen[str]") -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not databases.is_locked(client_programs.server()))


def under_way(gate: Path, step: str) -> bool:
    row = Backup.objects.first()
    return row is not None and row.step == step and (gate / "pid").exists()


def test_backup__killed__is_failed_and_the_next_one_cleans_up(
    backup_place: BackupPlace, gate: Path
) -> None:
    programs = backup_place.program("pg_dump", WAIT)
    process = backup_place.start("backup", BACKUP_PG_BIN=programs)
    wait_until(lambda: under_way(gate, "Dump and hash"))
    assert runs.made_lately()
    kill(process)
    assert backup_place.rests() != []
    row = Backup.objects.get()
    assert row.state == BackupState.RUNNING
    # It does not pass for a backup, for a day or for ever.
    assert not runs.made_lately()
    row.refresh_from_db()
    assert (row.state, row.error) == (BackupState.FAILED, history.DEAD)
    call_command("backup", "--no-verify")
    assert backup_place.rests() == []
    [stored] = backup_place.storage.iterdir()
    assert stored.name != row.name


def test_verify__killed__leaves_rests_that_the_next_one_deletes(
    backup_place: BackupPlace, gate: Path, stored_backup: Path, settings: Any
) -> None:
    programs = backup_place.program("pg_restore", WAIT)
    process = backup_place.start("verify_backup", BACKUP_PG_BIN=programs)
    wait_until(lambda: under_way(gate, "Restore"))
    kill(process)
    assert len(scratch_databases()) == 1
    assert list(backup_place.work.glob("*/database.dump")) != []
    settings.BACKUP_PG_BIN = backup_place.program("pg_restore", "exit 1")
    with pytest.raises(CommandError, match="pg_restore failed"):
        call_command("verify_backup")
    assert backup_place.rests() == []
    assert scratch_databases() == []
    row = Backup.objects.get()
    assert (row.state, row.verified, row.step) == (BackupState.STORED, False, "")


def test_backup__second_at_once__is_refused_and_the_first_is_not_disturbed(
    backup_place: BackupPlace, gate: Path, stored_backup: Path
) -> None:
    programs = backup_place.program("pg_dump", WAIT)
    first = backup_place.start("backup", "--no-verify", BACKUP_PG_BIN=programs)
    wait_until(lambda: under_way(gate, "Dump and hash"))
    row = Backup.objects.get()
    for command in ("backup", "verify_backup", "prune_backups"):
        with pytest.raises(CommandError, match=BUSY):
            call_command(command)
    refused = Backup.objects.exclude(pk=row.pk).get()
    assert (refused.state, refused.error) == (BackupState.FAILED, BUSY)
    assert tasks.back_up_daily() == ""
    # To look whether it is under way does not get in its way.
    assert history.find_running() == row
    (gate / "go").touch()
    told, _ = first.communicate()
    row.refresh_from_db()
    assert first.returncode == 0
    expected = f"{row.name}: {row.rows} rows, {row.size} bytes, not verified\n"
    assert told == expected
    assert row.state == BackupState.STORED
    # The refused one ended first: it raises no alarm.
    assert REGISTRY.get_sample_value("valuecanvas_backup_failed") == 0
