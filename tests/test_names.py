"""Names of the product: one name for one thing, and by the terms of the field."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.test_architecture import ROOT, parse, sources

# Class names that stand for several things, and why.
SAME_CLASS = {
    "Command": "Django finds the command of a module by this name.",
    "Pattern": "An operator's by RE2, and a schema's: their syntax differs.",
    "BadPattern": "The error of each of the two.",
}
# Module names that repeat, and why.
SAME_MODULE = {
    "admin": "Django looks for it.",
    "apps": "Django looks for it.",
    "models": "Django looks for it.",
    "tasks": "Celery looks for it.",
    "celery": "The application and its settings, where Celery looks for them.",
    "checks": "Django's name for system checks.",
    "urls": "Django's name for routes.",
    "base": "What the modules beside it have in common.",
    "config": "An app's part of the configuration snapshot.",
    "errors": "The errors of a folder.",
    "metrics": "The Prometheus instruments of a folder.",
    "types": "The values of a folder.",
    "chat": "An endpoint of OpenAI's API, in each layer that speaks it.",
    "embeddings": "An endpoint of OpenAI's API, in each layer that speaks it.",
    "responses": "An endpoint of OpenAI's API, in each layer that speaks it.",
    "plan": "What a request needs, and what a chaos run injects.",
    "patterns": "An operator's by RE2, and a schema's: their syntax differs.",
}
# A model's name is also that of its admin page, service, endpoint, view and command; a
# setting's that of what it sets.
LAYERS = {"models", "admin", "services", "api", "views", "commands", "settings"}
# Words that say neither what a function does nor what it gives.
LONE = {
    *("of", "to", "by", "at", "in", "on", "with", "from", "for", "until", "over"),
    *(
        "known",
        "given",
        "shown",
        "told",
        "said",
        "seen",
        "came",
        "kept",
        "held",
        "left",
    ),
    *("found", "made", "done", "sent", "taken", "begun", "broken", "chosen", "heard"),
}
# Present participles and nouns that end alike.
NOUNS = {"heading", "listing", "ending", "feed", "embed", "seed", "need"}


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The module's own: methods are read with their object."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def is_lone(name: str) -> bool:
    if name.startswith("_") or "_" in name or name in NOUNS:
        return False
    return name in LONE or name.endswith(("ed", "ing"))


def test_classes__of_the_product__have_names_of_their_own() -> None:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sources():
        for node in parse(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(path)
    twice = {name: paths for name, paths in found.items() if len(paths) > 1}
    assert {name: twice[name] for name in twice if name not in SAME_CLASS} == {}
    assert set(SAME_CLASS) <= set(twice), "A reason that nothing needs any more."


def test_modules__of_the_product__have_names_of_their_own() -> None:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sources():
        if path.stem != "__init__" and path.parent.name not in LAYERS:
            found[path.stem].append(path)
    twice = {name: paths for name, paths in found.items() if len(paths) > 1}
    assert {name: twice[name] for name in twice if name not in SAME_MODULE} == {}


def test_functions__of_the_product__are_no_lone_participles() -> None:
    lone = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources()
        for node in functions(parse(path))
        if is_lone(node.name)
    ]
    assert lone == []


def test_rule__a_lone_participle__would_be_seen() -> None:
    assert is_lone("shown")
    assert is_lone("compiled")
    assert not is_lone("compile_pattern")
    assert not is_lone("_shown")
