"""What the commands of backups print, and how they exit."""

import os
import pty
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from pyrage import x25519

from tests.fixtures_backups import BackupPlace, copy_backup
from valuecanvas.backups.command import BackupCommand
from valuecanvas.backups.encryption import seal, unseal
from valuecanvas.backups.models import Backup
from valuecanvas.backups.repository import DUMP, REHEARSAL, SUMMARY


def test_backup__no_terminal__is_one_line_of_result(
    backup_place: BackupPlace, capsys: Any
) -> None:
    call_command("backup", "--no-verify")
    row = Backup.objects.get()
    told = capsys.readouterr()
    assert told.out == f"{row.name}: {row.rows} rows, {row.size} bytes, not verified\n"
    # Only log lines.
    assert all(line.startswith("{") for line in told.err.splitlines())


def test_backup__on_a_terminal__shows_its_progress(
    backup_place: BackupPlace,
) -> None:
    ours, its = pty.openpty()
    process = backup_place.start("backup", "--no-verify", errors=its)
    os.close(its)
    shown = read_all(ours)
    told, _ = process.communicate()
    assert process.returncode == 0
    assert told.count("\n") == 1
    lines = [line.strip() for line in re.split("[\r\n]+", shown) if line.strip()]
    steps = [line for line in lines if not line.startswith("{")]
    assert steps[0] == "Dump and hash"
    assert any(re.fullmatch(r"Dump and hash \d+\.\d MB", line) for line in steps)
    assert steps[-1] == "Store"


def read_all(terminal: int) -> str:
    raw = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # its other end was closed
            piece = b""
        if not piece:
            os.close(terminal)
            return raw.decode()
        raw += piece


def test_progress__of_steps__is_a_bar_that_is_wiped(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with BackupCommand().progress() as progress:
        progress("Hash tables", 0, 4)
        progress("Hash tables", 3, 4)
        progress("Restore", 0, 0)
        progress("Dump", 2_500_000, 0)
    with pytest.raises(KeyError), BackupCommand().progress() as progress:
        raise KeyError
    lines = [line.strip() for line in capsys.readouterr().err.split("\r")]
    assert list(filter(None, lines)) == [
        "Hash tables [....................] 0/4",
        "Hash tables [###############.....] 3/4",
        "Restore",
        "Dump 2.5 MB",
    ]
    assert lines[-2:] == ["", ""]


def test_backup__new_key__prints_one_and_makes_no_backup(
    backup_place: BackupPlace, settings: Any, capsys: Any
) -> None:
    settings.BACKUP_KEY = ""
    call_command("backup", "--new-key")
    assert x25519.Identity.from_str(capsys.readouterr().out.strip())
    assert not Backup.objects.exists()


@pytest.mark.parametrize(
    ("key", "says"),
    [("", "Set BACKUP_KEY: backups are encrypted"), ("secret", "BACKUP_KEY is not a key")],
)  # fmt: skip
def test_backup__without_a_key__says_how_to_make_one(
    backup_place: BackupPlace, settings: Any, key: str, says: str
) -> None:
    settings.BACKUP_KEY = key
    with pytest.raises(CommandError, match=f"{says}.*manage.py backup --new-key") as it:
        call_command("backup")
    assert not key or f"{key} " not in str(it.value).replace("is not a key", "")


def test_list__good_and_bad_ones__shows_each_and_fails(
    stored_backup: Path, capsys: Any
) -> None:
    unverified = copy_backup(stored_backup, days=1)
    (unverified / REHEARSAL).unlink()
    unusable = copy_backup(stored_backup, days=2)
    document = unseal((unusable / REHEARSAL).read_bytes())
    document["steps"][-1] |= {"ok": False, "detail": "no answer"}
    (unusable / REHEARSAL).write_bytes(seal(document))
    unfinished = copy_backup(stored_backup, days=3)
    (unfinished / SUMMARY).unlink()
    (unfinished / REHEARSAL).unlink()
    damaged = copy_backup(stored_backup, days=4)
    (damaged / DUMP).unlink()
    with pytest.raises(CommandError, match="^1 of 5 backups are damaged.$"):
        call_command("list_backups")
    lines = capsys.readouterr().out.splitlines()
    amount = r" {2,}[\d,]+ bytes {2,}[\d,]+ rows  "
    for line, (folder, says) in zip(
        lines,
        [
            (damaged, f"  {DUMP} is missing."),
            (unfinished, "  It was not finished."),
            (unusable, f"{amount}NOT USABLE: Serve a request: no answer"),
            (unverified, f"{amount}not verified"),
            (stored_backup, f"{amount}verified"),
        ],
        strict=True,
    ):
        assert re.fullmatch(folder.name + says, line)


def test_list__all_are_fine__says_how_many(stored_backup: Path, capsys: Any) -> None:
    call_command("list_backups")
    assert capsys.readouterr().out.splitlines()[-1] == "1 backups"
    call_command("list_backups", "--quiet")
    assert capsys.readouterr().out == f"{stored_backup.name}\n"


def test_list__no_storage_so_far__is_empty(
    backup_place: BackupPlace, capsys: Any
) -> None:
    call_command("list_backups")
    assert capsys.readouterr().out == "0 backups\n"


def test_verify__latest__is_the_newest_without_a_problem(
    stored_backup: Path, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = copy_backup(stored_backup, days=1)
    (stored_backup / DUMP).unlink()
    monkeypatch.setenv("VALUECANVAS_VAR", str(tmp_path / "var"))
    call_command("verify_backup")
    # The copy's configuration is not saved where a gateway in use would read it.
    assert not (tmp_path / "var").exists()
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == f"{older.name}: verified"
    assert all(re.fullmatch(r"ok  .+: .+ \(\d+\.\d s\)", line) for line in told[:-1])
    assert [line.split(":")[0] for line in told[:-1]] == [
        "ok  Restore into an empty database",
        "ok  Compare with the snapshot",
        "ok  Key material",
        "ok  Bring it to this version",
        "ok  Use it in a process of its own",
        "ok  Add up the ledger",
        "ok  Decrypt stored keys",
        "ok  Serve a request",
    ]


def test_command__history_cannot_be_read__is_one_line(
    backup_place: BackupPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(by: str) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("valuecanvas.backups.runs.begin", away)
    with pytest.raises(
        CommandError, match="The history of backups: connection refused"
    ):
        call_command("backup")
