"""The error codes and log events that the product's source names."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from tests.test_architecture import module_name, sources
from valuecanvas.core.errors import GatewayError

LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
# Of fields in forms: they do not go out as codes.
FORMS = {"ValidationError", "OpenApiExample"}


@cache
def trees() -> dict[str, ast.Module]:
    return {module_name(path): ast.parse(path.read_text()) for path in sources()}


def error_classes() -> dict[str, type[GatewayError]]:
    """The tree of errors, by name."""
    found, waiting = {}, [GatewayError]
    while waiting:
        one = waiting.pop()
        found[one.__name__] = one
        waiting += one.__subclasses__()
    return found


def find_codes() -> dict[str, set[type[GatewayError]]]:
    """Every code that the source names, and the errors it is raised with."""
    classes = error_classes()
    found: dict[str, set[type[GatewayError]]] = defaultdict(set)
    for node in (node for tree in trees().values() for node in ast.walk(tree)):
        maker, words = _find_code(node)
        for code in words:
            found[code] |= {classes[maker]} if maker in classes else set()
    for one in classes.values():
        if own := vars(one).get("default_code"):
            found[own].add(one)
    return dict(found)


def _find_code(node: ast.AST) -> tuple[str, set[str]]:
    """What is called with a code, and the code; of a dict the code alone."""
    given, maker = [], ""
    if isinstance(node, ast.Call):
        maker = ast.unparse(node.func).rpartition(".")[2]
        named = (one for one in node.keywords if one.arg in ("code", "error_code"))
        given = [] if maker in FORMS else [one.value for one in named]
    elif isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        given = [value for key, value in pairs if getattr(key, "value", "") == "code"]
    return maker, {word for value in given for word in _words(value)}


def _words(value: ast.AST) -> Iterator[str]:
    """The texts in `value` that look like codes."""
    for node in ast.walk(value):
        text = getattr(node, "value", None)
        if isinstance(text, str) and re.fullmatch(r"[a-z_]{5,}", text):
            yield text


def find_events() -> dict[str, dict[str, set[str]]]:
    """Every event of the logs: its levels, its fields and the modules that log it."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for module, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _is_event(node):
                told = found[ast.literal_eval(node.args[0])]
                told["levels"].add(ast.unparse(node.func).rpartition(".")[2])
                told["fields"] |= {one.arg for one in node.keywords if one.arg}
                told["modules"].add(module)
    return found


def _is_event(call: ast.Call) -> bool:
    called, _, level = ast.unparse(call.func).rpartition(".")
    plain = bool(call.args) and isinstance(call.args[0], ast.Constant)
    return called == "log" and level in LEVELS and plain
