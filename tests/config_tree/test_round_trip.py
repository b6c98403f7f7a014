"""What is exported and imported into nothing is the same."""

from pathlib import Path

import pytest

from tests.config_tree.conftest import (
    files_of,
    run,
    wipe,
)
from valuecanvas.config_tree.sections import NAMES, SECTIONS

pytestmark = pytest.mark.django_db


def test_tree__after_a_wipe_and_an_import__is_the_same_to_the_byte(
    tree: Path, tmp_path: Path
) -> None:
    wipe()

    assert "0 changed, 0 as they were." in run("import_config", tree)
    run("export_config", tmp_path / "again")

    assert files_of(tmp_path / "again") == files_of(tree)


def test_tree__of_rows_of_every_section__has_rows_in_every_file(tree: Path) -> None:
    files = files_of(tree)
    assert {f"{name}.yaml" for name in SECTIONS} <= files.keys()
    assert {name for name, data in files.items() if data == b"[]\n"} == set()
    assert {name.partition("/")[0].removesuffix(".yaml") for name in files} == set(
        NAMES
    )
