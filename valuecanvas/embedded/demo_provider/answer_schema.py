"""Makes a simple value that fits a JSON Schema, for structured answers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
# Property name (lower case, letters only) -> phrases to fill it with.
Hints = Mapping[str, Sequence[str]]

_DEEPEST = 8
_FORMATS = {
    "date": "2025-01-01",
    "date-time": "2025-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "demo@example.com",
    "uri": "https://example.com/demo",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example(schema: Schema, hints: Hints | None = None) -> Any:
    """A value that fits `schema`; objects get their required properties, or all.

    `hints` fill properties by name where their type allows. Neither patterns nor
    `allOf` are solved.
    """
    return _Maker(schema, hints or {}).value(schema, "", 0)


def plain(name: str) -> str:
    """A property name as `hints` spell it."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


class _Maker:
    """Makes values; holds the root schema for `$ref`s."""

    def __init__(self, root: Schema, hints: Hints) -> None:
        self.root = root
        self.hints = hints

    def value(self, schema: Any, name: str, depth: int) -> Any:
        """The value of one node; `name` is the property it fills."""
        if not isinstance(schema, dict):
            return _text(name)
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        kind = _kind(schema, depth)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("number", "integer"):
            return _number(schema)
        return {"boolean": True, "null": None}.get(kind, self._string(schema, name))

    def _resolved(self, schema: Schema, depth: int) -> Schema:
        """The schema with `$ref` and one alternative merged in."""
        for _ in range(_DEEPEST):
            options = schema.get("anyOf") or schema.get("oneOf")
            if "$ref" in schema:
                part = self._target(schema["$ref"])
            elif options:
                part = _pick(options, depth)
            else:
                break
            merged = ("$ref", "anyOf", "oneOf")
            schema = {**{k: v for k, v in schema.items() if k not in merged}, **part}
        return schema

    def _target(self, reference: str) -> Schema:
        node: Any = self.root
        for step in filter(None, reference.removeprefix("#").split("/")):
            node = node.get(step) if isinstance(node, dict) else None
        return node if isinstance(node, dict) else {}

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        names = schema.get("required") or properties
        if depth > _DEEPEST:  # a recursive schema has no finite value
            return {}
        return {n: self.value(properties.get(n), n, depth + 1) for n in names}

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        least, most = schema.get("minItems", 0), schema.get("maxItems", 99)
        items, phrases = schema.get("items", {}), self.hints.get(plain(name))
        if phrases and _kind(items, depth) == "string" and "enum" not in items:
            return list(phrases)[:most]
        wanted = least if depth > _DEEPEST else max(least, 1)
        return [self.value(items, name, depth + 1) for _ in range(min(wanted, most))]

    def _string(self, schema: Schema, name: str) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[str(schema["format"])]
        phrases = self.hints.get(plain(name))
        text: str = " ".join(phrases) if phrases else _text(name)
        return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


def _text(name: str) -> str:
    return f"demo {name.replace('_', ' ')}".strip()


def _pick(options: Sequence[Any], depth: int) -> Schema:
    """The first alternative, but null at the maximum depth."""
    choices = [option for option in options if isinstance(option, dict)]
    if depth >= _DEEPEST:
        choices.sort(key=lambda option: option.get("type") != "null")
    return choices[0] if choices else {}


def _kind(schema: Schema, depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return "null" if depth >= _DEEPEST and "null" in kind else str(kind[0])
    if kind is None and "properties" in schema:
        return "object"
    return str(kind or ("array" if "items" in schema else "string"))


def _number(schema: Schema) -> int | float:
    """A number well within the bounds."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        value = 1 if high is None else high - 1
    else:
        value = low + 1 if high is None else (low + high) / 2
    return math.ceil(value) if schema.get("type") == "integer" else value
