"""The OpenAPI document in a form from which generators make good clients.

Generators turn a choice between types into wrapper classes, which a developer has to build
by hand for a plain text. Here such a field takes any value; the gateway checks it.
"""

from typing import Any

_KEPT = ("title", "description", "example")


def client_document(node: Any) -> Any:
    """`node`, all choices of types made simple."""
    if isinstance(node, list):
        return [client_document(below) for below in node]
    if not isinstance(node, dict):
        return node
    if _is_choice(node):
        return {name: node[name] for name in _KEPT if name in node}
    found = {name: client_document(below) for name, below in node.items()}
    if events := found.get("text/event-stream"):
        # Of a stream a generated client can only give the text.
        events["schema"]["type"] = "string"
    kinds = found.get("type")
    if kinds == ["array", "null"] or kinds == ["object", "null"]:
        text = found.pop("description", "")
        branches = [{**found, "type": kinds[0]}, {"type": "null"}]
        return {"anyOf": branches, "description": text}
    return found


def _is_choice(node: dict[str, Any]) -> bool:
    """Whether it is a schema of several types, null aside."""
    null = {"type": "null"}
    branches = [one for one in node.get("anyOf", []) if one != null]
    kinds = node.get("type")
    names = [one for one in kinds if one != "null"] if isinstance(kinds, list) else []
    return len(branches) > 1 or len(names) > 1
