"""Docs that must not fall behind the code."""

import re
from pathlib import Path

from django.conf import settings
from django.core.management import get_commands

from valuecanvas import env

ROOT = Path(__file__).resolve().parents[1]
OURS = {"valuecanvas", "llm", "billing", "prompts", "flags"}


def markdown() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def test_env_example__every_declared_setting__has_a_line_with_its_help():
    assert settings.configured
    text = (ROOT / ".env.example").read_text()
    for setting in env.DECLARED.values():
        assert re.search(rf"^#?{setting.name}=", text, re.M), setting.name
        assert setting.help in text, f"{setting.name}: {setting.help}"


def test_env_example__every_line__is_a_declared_setting():
    assert settings.configured
    names = re.findall(
        r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M
    )
    assert names
    assert set(names) <= set(env.DECLARED)


def test_links__in_all_pages__lead_somewhere():
    for page in markdown():
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_commands__every_one_of_ours__is_documented():
    docs = "\n".join(page.read_text() for page in markdown())
    ours = {name for name, app in get_commands().items() if app in OURS}
    assert ours
    missing = {name for name in ours if name not in docs}
    assert not missing


def test_troubleshooting__codes_that_it_names__are_sent() -> None:
    text = (ROOT / "docs" / "TROUBLESHOOTING.md").read_text()
    source = "".join(
        path.read_text() for app in OURS for path in (ROOT / app).rglob("*.py")
    )
    refused = text.partition("## Refused requests")[2].partition("\n## ")[0]
    codes = {
        *re.findall(r"`([a-z]+(?:_[a-z]+)+)`", refused),
        *re.findall(r"\b[45]\d\d `([a-z_]+)`", text),
    }
    assert len(codes) > 10
    assert {code for code in codes if f'"{code}"' not in source} == set()


def test_troubleshooting__metrics_that_it_names__exist() -> None:
    text = (ROOT / "docs" / "TROUBLESHOOTING.md").read_text()
    source = "".join(
        path.read_text() for app in OURS for path in (ROOT / app).rglob("*.py")
    )
    names = set(re.findall(r"`(valuecanvas_\w+)`", text))
    assert names
    assert {name for name in names if name not in source} == set()


def test_readme__the_two_commands__are_there():
    text = (ROOT / "README.md").read_text()
    assert "make run" in text
    assert "make test" in text


def test_changelog__the_version__is_the_project_s():
    version = settings.SPECTACULAR_SETTINGS["VERSION"]
    project = re.search(
        r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M
    )
    assert project is not None
    assert project.group(1) == version
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()


def test_contributing__places_that_it_names__exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text.partition("## Where do I ...")[2].partition("\n## ")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")][2:]
    assert len(rows) >= 15
    for row in rows:
        named = re.findall(r"`([^`]+)`", row)
        paths = [ROOT / one for one in named if "/" in one]
        assert paths, row
        assert [one for one in paths if not one.exists()] == [], row
        read = "".join(one.read_text() for one in paths if one.is_file())
        for name in named:
            if "/" not in name:
                defined = rf"^\s*(?:(?:async )?def |class )?{name}\b"
                assert re.search(defined, read, re.MULTILINE), f"{name}: {row}"


def test_security__every_threat__has_a_row_and_tests_that_exist() -> None:
    text = (ROOT / "docs" / "SECURITY.md").read_text()
    rows = dict(re.findall(r"^\| (S\d+) \|(.*)$", text, re.M))
    assert [*rows] == [f"S{number}" for number in range(1, 30)]
    for name, row in rows.items():
        assert "`tests/" in row or "comes with" in row, name
    named = set(re.findall(r"`(tests/[^`]+)`", text))
    assert {one for one in named if not (ROOT / one).is_file()} == set()
