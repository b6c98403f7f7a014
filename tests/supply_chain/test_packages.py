"""S24: packages run no code at start, and have licences that we can accept."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.supply_chain.licences import (
    PAGE,
    ROOT,
    is_refused,
    licence_of,
    production_packages,
    render_page,
)

# A file of this kind is run by every start of Python.
ALLOWED_START_FILES = {("coverage", "a1_coverage.pth")}


def start_files() -> set[tuple[str, str]]:
    return {
        (one.name, str(path))
        for one in metadata.distributions()
        for path in one.files or []
        if path.suffix == ".pth"
        or path.name in ("sitecustomize.py", "usercustomize.py")  # fmt: skip
    }


def test_packages__files_that_run_at_each_start__are_only_those_listed() -> None:
    assert start_files() == ALLOWED_START_FILES


def test_packages__a_new_file_that_runs_at_start__is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "evil-1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("evil.pth,,\n")
    (record.parent / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    assert start_files() - ALLOWED_START_FILES == {("evil", "evil.pth")}


def test_licences__page__is_as_the_packages_say() -> None:
    """`make licences` writes it."""
    assert PAGE.read_text() == render_page()


def test_licences__of_production__do_not_bind_the_product() -> None:
    found = {name: licence_of(name) for name in production_packages()}
    assert len(found) > 50
    assert [name for name, licence in found.items() if not licence] == []
    assert [name for name, licence in found.items() if is_refused(licence)] == []


@pytest.mark.parametrize(
    ("licence", "refused"),
    [
        ("GPL-3.0-or-later", True),
        ("AGPL-3.0-only", True),
        ("MIT AND GPL-2.0", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("GNU Lesser General Public License v2 or later (LGPLv2+)", False),
        ("LGPL-3.0-only", False),
        ("LGPL-3.0-only AND GPL-3.0-only", True),
        ("Apache-2.0", False),
        ("SSPL-1.0", True),
    ],
)
def test_licences__that_bind_users__are_refused(licence: str, refused: bool) -> None:
    assert is_refused(licence) is refused


def test_sbom__made_from_the_lock__names_each_package_with_hashes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sbom.json"
    show = ["make", "-s", "--eval", "show:;@echo $(SBOM)", "show"]
    made = subprocess.run(show, cwd=ROOT, capture_output=True, text=True, check=True)
    words = [sys.executable if word == ".venv/bin/python" else word for word in made.stdout.split()]  # fmt: skip
    subprocess.run([*words, "-o", str(path)], cwd=ROOT, check=True)
    found = json.loads(path.read_text())
    assert found["bomFormat"] == "CycloneDX"
    names = {one["name"] for one in found["components"]}
    assert names >= set(production_packages())
    for one in found["components"]:
        assert one["version"]
        assert one["externalReferences"][0]["hashes"]
