"""Secrets that are generated once."""

import base64
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
