"""The codes of 5xx answers are in one list, for alerts and targets."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from prompts.rendering.render import BrokenPrompt
from valuecanvas.core import errors
from valuecanvas.core.errors import SERVER_CODES, GatewayError

ROOT = Path(__file__).resolve().parents[2]
APPS = ("llm", "billing", "flags", "prompts", "valuecanvas")
CLASSES = [*vars(errors).values(), BrokenPrompt]
SERVER = {
    one.__name__: one.default_code
    for one in CLASSES
    if isinstance(one, type) and issubclass(one, GatewayError) and one.status >= 500
}


def trees() -> Iterator[ast.Module]:
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            yield ast.parse(path.read_text())


def codes() -> Iterator[tuple[str, str]]:
    """(class, code) of every error that is raised with a code of its own."""
    for tree in trees():
        # What a class passes to its base counts as raised as that.
        bases = {
            call: getattr(one.bases[0], "id", "")
            for one in ast.walk(tree)
            if isinstance(one, ast.ClassDef) and one.bases
            for call in ast.walk(one)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call):
                name = getattr(call.func, "id", getattr(call.func, "attr", ""))
                name = bases.get(call, "") if name == "__init__" else name
                for word in call.keywords:
                    if word.arg == "code" and isinstance(word.value, ast.Constant):
                        yield name, str(word.value.value)


def test_codes__of_errors_with_5xx__are_those_of_the_list() -> None:
    found = {code for name, code in codes() if name in SERVER}
    assert found | {code for code in SERVER.values() if code} == SERVER_CODES


def test_codes__of_other_errors__are_not_in_the_list() -> None:
    others = {
        one.default_code
        for one in CLASSES
        if isinstance(one, type) and issubclass(one, GatewayError) and one.status < 500
    }
    others |= {code for name, code in codes() if name not in SERVER}
    assert len(others) > 50
    assert others & SERVER_CODES == set()


def test_codes__in_the_rules_of_prometheus__are_those_of_the_list() -> None:
    rules = (
        ROOT / "deploy" / "observability" / "prometheus" / "rules.yaml"
    ).read_text()
    named = re.findall(r'valuecanvas_refused_total\{[^}]*code=~"([^"]+)"', rules)
    assert named
    assert {frozenset(one.split("|")) for one in named} == {SERVER_CODES}
