"""Each hook of .pre-commit-config.yaml finds what it is there for; the guide names them all."""

import re
import shlex
import shutil
from typing import Any

import pytest
import yaml

from tests.hooks.checkout import ROOT, Checkout, list_files
from tests.hooks.offences import CONFIG, OFFENCES, Offence

Hook = dict[str, Any]
CONFIGURATION = yaml.safe_load((ROOT / CONFIG).read_text())
HOOKS: dict[str, Hook] = {
    hook["id"]: hook for repo in CONFIGURATION["repos"] for hook in repo["hooks"]
}
# Not at a commit: they get a small repository of their own, where mypy is quick.
LATER = {hook for hook, row in HOOKS.items() if "stages" in row}
FEW = [CONFIG, "pyproject.toml", ".secrets.baseline"]
SETTINGS = 'SECRET_KEY = "none"\nINSTALLED_APPS = []\n'

needs_git = pytest.mark.skipif(
    not (shutil.which("git") and (ROOT / ".git").exists()),
    reason="Hooks run in a clone of git, which is not here.",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """All of the product, with the offences of hooks that look at commits."""
    made = Checkout(tmp_path_factory.mktemp("whole"), list_files())
    made.seed([one for one in OFFENCES if one.hook not in LATER])
    return made


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """As good as empty, with the offences of the other hooks."""
    made = Checkout(tmp_path_factory.mktemp("small"), FEW)
    (made.root / "valuecanvas").mkdir()
    (made.root / "valuecanvas" / "__init__.py").touch()
    (made.root / "valuecanvas" / "settings.py").write_text(SETTINGS)
    made.seed([one for one in OFFENCES if one.hook in LATER])
    return made


def arguments_for(offence: Offence) -> list[str]:
    [stage] = HOOKS[offence.hook].get("stages", ["pre-commit"])
    named = "--commit-msg-filename" if stage == "commit-msg" else "--files"
    return ["--hook-stage", stage, named, offence.path]


def test_offences__of_all_hooks__are_in_the_table() -> None:
    assert [one.hook for one in OFFENCES] == [*HOOKS]
    assert len(HOOKS) >= 20


@needs_git
@pytest.mark.parametrize("offence", OFFENCES, ids=lambda one: one.hook)
def test_hook__its_offence__is_found(
    offence: Offence, request: pytest.FixtureRequest
) -> None:
    name = "small" if offence.hook in LATER else "whole"
    checkout: Checkout = request.getfixturevalue(name)
    code, said = checkout.run_hook(offence.hook, *arguments_for(offence))
    assert code == 1, said
    assert offence.says in said, said


@needs_git
def test_hooks__of_a_clean_commit__pass(small: Checkout) -> None:
    (small.root / "clean").write_text("feat(billing)!: settle once\n")
    stage = ("--hook-stage", "commit-msg", "--commit-msg-filename", "clean")
    assert small.run_hook("commit-message", *stage)[0] == 0
    for hook in ("yaml", "toml", "ruff-check", "ruff-format", "secrets"):
        files = ("--files", *FEW, "valuecanvas/__init__.py")
        assert small.run_hook(hook, *files)[0] == 0, hook


def test_hooks__each_of_them__is_a_program_of_the_environment() -> None:
    """So git finds it without an activated environment, and nothing is fetched."""
    local = [hook for hook in HOOKS.values() if "entry" in hook]
    for hook in local:
        assert hook["language"] in ("system", "pygrep"), hook["id"]
        if hook["language"] == "system":
            assert hook["entry"].startswith(".venv/bin/"), hook["id"]


def test_guide__its_table__names_each_hook_once() -> None:
    text = (ROOT / "docs" / "PRE_COMMIT_HOOKS_GUIDE.md").read_text()
    table = text.partition("## The hooks")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| \S.* \| \S.* \|$", table, re.M)
    assert rows == [*HOOKS]


def test_makefile__of_the_hooks_that_it_leaves_out__runs_the_commands() -> None:
    text = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", text, re.M)
    [skipped] = re.findall(r"^CHECKED := (\S+)$", text, re.M)
    assert recipe
    joined = recipe[1].replace("\\\n", " ").replace("$(RUN)", ".venv/bin/python")
    # The document is made elsewhere and compared, not written.
    lines = [
        {*line.split()}
        for line in joined.replace("build/openapi", "docs/openapi").split("\n")
    ]
    for name in skipped.split(","):
        words = {*shlex.split(HOOKS[name]["entry"])}
        assert any(words <= line for line in lines), name
