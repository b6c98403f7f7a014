"""The import rule, the ban on signals, and the names of tests."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
APPS = ("valuecanvas", "llm", "prompts", "flags", "billing")

# Which of our packages each may import; the wiring on top may import them all.
MAY_IMPORT = {
    "valuecanvas.core": set(),
    "valuecanvas.embedded": {"valuecanvas.env"},
    "valuecanvas.env": set(),
    "valuecanvas.settings": {"valuecanvas.env", "valuecanvas.embedded"},
    "valuecanvas.backups": {"valuecanvas.core", "valuecanvas.embedded"},
    "billing": {"valuecanvas.core"},
    "flags": {"valuecanvas.core"},
    "prompts": {"valuecanvas.core"},
    "llm": {"valuecanvas.core", "valuecanvas.embedded", "billing", "flags", "prompts"},
    "valuecanvas": {
        "valuecanvas.core", "valuecanvas.embedded", "valuecanvas.env",
        "valuecanvas.settings", "valuecanvas.backups", "billing", "flags", "prompts",
        "llm",
    },
}  # fmt: skip
# Inside llm: what each may not know of. Doors know the pipeline, never the reverse.
DOORS = (
    "llm.views",
    "llm.jobs.views",
    "llm.jobs.worker.worker_process",
    "llm.tasks",
    "llm.admin",
    "llm.management",
    "llm.urls",
    "llm.api_urls",
    "llm.gateway",
)

# Answers by computing alone: no table is read there.
PURE = (
    "flags.engine",
    "llm.dialects",
    "llm.metering",
    "llm.request",
    "llm.translate",
    "prompts.rendering",
    "valuecanvas.core.targeting",
)
# One module for each page of the admin: a list of like things.
LISTS = ("admin", "migrations")
MOST_MODULES = 16
MOST_IN_LLM = 12


@cache
def sources() -> list[Path]:
    return [
        path
        for app in APPS
        for path in sorted((ROOT / app).rglob("*.py"))
        if "migrations" not in path.parts
    ]


@cache
def parse(path: Path) -> ast.Module:
    """Most tests here read every file of the product."""
    return ast.parse(path.read_text())


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def package_of(module: str) -> str | None:
    """The longest package of MAY_IMPORT that holds `module`; None: not ours."""
    found = [name for name in MAY_IMPORT if f"{module}.".startswith(f"{name}.")]
    return max(found, key=len, default=None)


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write absolute imports"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def test_rule__every_source_file__is_found():
    assert len(sources()) > 100
    assert {package_of(module_name(path)) for path in sources()} == set(MAY_IMPORT)


def test_imports__each_module__point_downwards():
    upwards = []
    for path in sources():
        importer = package_of(module_name(path))
        assert importer is not None
        for name, line in imported(parse(path)):
            target = package_of(name)
            if target not in (None, importer, *MAY_IMPORT[importer]):
                upwards.append(f"{path}:{line} imports {name}")
    assert upwards == []


def test_imports__below_the_doors__know_no_door():
    for path in (ROOT / "llm").rglob("*.py"):
        module = module_name(path)
        if "migrations" in path.parts or module.startswith(DOORS):
            continue
        for name, line in imported(parse(path)):
            assert not name.startswith(DOORS), f"{path}:{line} imports {name}"


@pytest.mark.parametrize("folder", PURE)
def test_imports__of_pure_folders__name_no_model(folder):
    paths = [path for path in sources() if module_name(path).startswith(folder)]
    assert paths
    for path in paths:
        for name, line in imported(parse(path)):
            owner = name.rpartition(".")[0]
            is_model = ".models" in owner or name.endswith(".models")
            allowed = name == "django.db.models.TextChoices"
            assert allowed or not is_model, f"{path}:{line} imports {name}"


def test_folders__of_the_product__hold_few_modules():
    found = Counter(path.parent for path in sources() if path.stem != "__init__")
    assert found[ROOT / "llm"] <= MOST_IN_LLM
    many = {path: count for path, count in found.items() if count > MOST_MODULES}
    assert {path for path in many if path.name not in LISTS} == set()


def test_signals__nowhere__are_used():
    for path in sources():
        text = path.read_text()
        assert "django.db.models.signals" not in text, path
        assert "django.dispatch" not in text, path


def test_rule__a_sideways_import__would_be_seen():
    tree = ast.parse("from flags.models import Flag")
    [(name, _)] = imported(tree)
    target = package_of(name)
    assert target == "flags"
    assert target not in MAY_IMPORT["billing"]


def test_names__of_all_tests__say_subject_condition_outcome():
    pattern = re.compile(r"^test_[a-z0-9_]+?__[a-z0-9_]+?__[a-z0-9_]+$")
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_"):
                assert pattern.match(node.name), f"{path}:{node.lineno} {node.name}"
