"""The keys of a restored installation: those of the backup, or those of its time."""

import json
import secrets
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.fixtures_backups import BackupPlace
from valuecanvas.backups import creation
from valuecanvas.backups.creation import KEY_SETTINGS
from valuecanvas.backups.management.commands.restore import KEYS_FILE
from valuecanvas.backups.postgresql import client_programs
from valuecanvas.backups.repository import BackupRepository, new_name


@pytest.fixture
def data_folder(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of an installation that has its keys in a file."""
    for name in KEY_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    settings.VAR_DIR = tmp_path / "var"
    return tmp_path / "var"


@pytest.fixture
def of_the_backup(stored_backup: Path, settings: Any) -> dict[str, str]:
    """The keys in the backup; this installation has others."""
    found = {name: str(getattr(settings, name)) for name in KEY_SETTINGS}
    settings.FIELD_KEY = secrets.token_urlsafe(32)
    settings.KEY_PEPPER = secrets.token_urlsafe(32)
    return found


def test_keys__in_files__are_replaced_and_the_old_ones_stay(
    own_database: dict[str, Any],
    of_the_backup: dict[str, str],
    data_folder: Path,
    capsys: Any,
) -> None:
    data_folder.mkdir()
    (data_folder / "secrets.json").write_text('{"FIELD_KEY": "old"}')
    call_command("restore")
    assert f"The keys in {data_folder} are now those" in capsys.readouterr().out
    new = data_folder / "secrets.json"
    assert json.loads(new.read_text()) == of_the_backup
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    [old] = data_folder.glob("secrets.*.json")
    assert old.read_text() == '{"FIELD_KEY": "old"}'


def test_keys__in_the_environment__are_written_for_the_operator(
    own_database: dict[str, Any],
    of_the_backup: dict[str, str],
    data_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: Any,
) -> None:
    (tmp_path / "secret").write_text("of-a-file")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "secret"))
    path = data_folder / KEYS_FILE
    data_folder.mkdir()
    path.write_text("an old one that all may read")
    path.chmod(0o644)
    call_command("restore")
    told = capsys.readouterr()
    assert f"set KEY_PEPPER, FIELD_KEY to the values in {path}" in told.err
    assert of_the_backup["FIELD_KEY"] not in told.out + told.err
    expected = [f"{one}={of_the_backup[one]}" for one in ("KEY_PEPPER", "FIELD_KEY")]
    assert path.read_text().splitlines() == expected
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not (data_folder / "secrets.json").exists()


def test_keys__cannot_be_written__is_said_once_the_database_is_restored(
    own_database: dict[str, Any], of_the_backup: dict[str, str], data_folder: Path
) -> None:
    data_folder.write_text("a file")
    with pytest.raises(CommandError, match="The database is restored, but its keys"):
        call_command("restore")
    with client_programs.connect(own_database) as connection:
        assert connection.execute("SELECT 1 FROM llm_provider").fetchall() == [(1,)]


@pytest.fixture
def without_keys(backup_place: BackupPlace, settings: Any) -> str:
    """The name of a backup that was made without keys."""
    settings.BACKUP_WITH_KEYS = False
    summary = creation.create(BackupRepository(), new_name())
    assert not summary.has_keys
    return summary.name


def test_backup__without_keys__is_restored_with_those_of_its_time(
    without_keys: str, own_database: dict[str, Any], data_folder: Path
) -> None:
    call_command("restore", without_keys)
    assert not data_folder.exists()


def test_backup__without_keys__is_refused_with_others(
    without_keys: str, own_database: dict[str, Any], settings: Any, capsys: Any
) -> None:
    settings.FIELD_KEY = secrets.token_urlsafe(32)
    says = "It was made without its keys, and needs those of its time: FIELD_KEY here"
    with pytest.raises(CommandError, match=says):
        call_command("restore", without_keys)
    # The same is found out when it is made, or verified.
    with pytest.raises(CommandError, match=f"is not usable. Key material: {says}"):
        call_command("verify_backup", without_keys)


def test_command__without_keys__warns(
    backup_place: BackupPlace, settings: Any, capsys: Any
) -> None:
    settings.BACKUP_WITH_KEYS = False
    call_command("backup", "--no-verify")
    assert "keep SECRET_KEY, KEY_PEPPER and FIELD_KEY" in capsys.readouterr().err


def test_backup__its_files__hold_no_key_in_plain(
    stored_backup: Path, settings: Any
) -> None:
    raw = b"".join(path.read_bytes() for path in stored_backup.iterdir())
    for name in (*KEY_SETTINGS, "BACKUP_KEY"):
        assert str(getattr(settings, name)).encode() not in raw
