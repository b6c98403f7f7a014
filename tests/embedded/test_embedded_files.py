"""Small private files."""

import os
import stat
from pathlib import Path

import pytest

from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.state_files import (
    own_folder,
    private_folder,
    read_json,
    write_json,
)


def test_write_json__new_file__is_readable_by_its_owner_only(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"n": 1})
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o600
    assert read_json(tmp_path / "a.json") == {"n": 1}
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_read_json__not_an_object__is_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert read_json(tmp_path / "a.json") == {}


def test_read_json__no_file__is_empty(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json") == {}


def test_private_folder__missing__is_made_for_its_owner(tmp_path: Path) -> None:
    made = private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_private_folder__a_file_in_its_place__names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    with pytest.raises(EngineError, match="VALUECANVAS_VAR"):
        private_folder(tmp_path / "var")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_own_folder__of_another_account__is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(EngineError, match="belongs to another account"):
        own_folder(tmp_path)
