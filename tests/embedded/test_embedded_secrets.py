"""Secrets that are generated once."""

import base64
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from valuecanvas.embedded import secrets
from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.state_files import write_json

PRINT = (
    "import sys, pathlib; from valuecanvas.embedded import secrets;"
    "print(secrets.load(pathlib.Path(sys.argv[1])))"
)


def test_secrets__second_load__is_the_same(tmp_path: Path) -> None:
    first = secrets.load(tmp_path / "var")
    assert secrets.load(tmp_path / "var") == first
    assert len(base64.b64decode(first["FIELD_KEY"])) == 32
    assert len(set(first.values())) == 3
    path = tmp_path / "var" / "secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_secrets__many_first_processes__agree(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT, str(tmp_path / "var")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in started}) == 1


def test_secrets__one_is_missing__is_an_error_and_nothing_is_replaced(
    tmp_path: Path,
) -> None:
    write_json(tmp_path / "secrets.json", {"SECRET_KEY": "a", "FIELD_KEY": "b"})
    with pytest.raises(EngineError, match="lacks KEY_PEPPER"):
        secrets.load(tmp_path)


def test_backup_key__second_load__is_the_same_and_private(tmp_path: Path) -> None:
    first = secrets.load_backup_key(tmp_path / "var")
    assert secrets.load_backup_key(tmp_path / "var") == first
    assert first.startswith("AGE-SECRET-KEY-1")
    path = tmp_path / "var" / "backup-key.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_backup_key__file_without_it__is_empty_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "backup-key.json"
    path.write_text("{")
    assert secrets.load_backup_key(tmp_path) == ""
    assert path.read_text() == "{"


def test_secrets__replaced__are_those_and_copies_of_the_old_ones_stay(
    tmp_path: Path,
) -> None:
    first = secrets.load(tmp_path)
    second = {name: f"{name} of another" for name in secrets.NAMES}
    secrets.replace(tmp_path, {**second, "BACKUP_KEY": "is not one of them"})
    assert secrets.load(tmp_path) == second
    secrets.replace(tmp_path, first)
    assert secrets.load(tmp_path) == first
    copies = [path.read_text() for path in sorted(tmp_path.glob("secrets.*.json"))]
    assert [json.loads(text) for text in copies] == [first, second]


def test_secrets__replaced_where_there_were_none__are_those(tmp_path: Path) -> None:
    second = {name: f"{name} of another" for name in secrets.NAMES}
    secrets.replace(tmp_path / "var", second)
    assert secrets.load(tmp_path / "var") == second
    assert not [*tmp_path.glob("var/secrets.*.json")]


def test_secrets__replaced_by_an_incomplete_set__stay(tmp_path: Path) -> None:
    first = secrets.load(tmp_path)
    with pytest.raises(KeyError):
        secrets.replace(tmp_path, {"SECRET_KEY": "alone"})
    assert secrets.load(tmp_path) == first
