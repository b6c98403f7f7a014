"""A simple value that satisfies a JSON Schema."""

from __future__ import annotations

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
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/demo",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example(schema: Schema, hints: Hints | None = None) -> Any:
    """A value that fits `schema`; objects get their required properties, or all.

    `hints` fill properties by name where their type allows. Patterns aren't solved.
    """
    return _Maker(schema, hints or {}).value(schema, "", 0)


def plain(name: str) -> str:
    """A property name as `hints` spell it."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


class _Maker:
    """Holds the root schema, for the `$ref`s, while values are made."""

    def __init__(self, root: Schema, hints: Hints) -> None:
        self.root = root
        self.hints = hints

    def value(self, schema: Any, name: str, depth: int) -> Any:
        """The value of one node; `name` is the property it fills."""
        if not isinstance(schema, dict):
            return _text(name)
        schema = self._resolved(schema, depth)
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        for key in ("enum", "examples"):
            if schema.get(key):
                return schema[key][0]
        return self._typed(schema, name, depth)

    def _resolved(self, schema: Schema, depth: int) -> Schema:
        """The schema with `$ref`, `allOf` and one alternative merged in."""
        for _ in range(_DEEPEST):
            if "$ref" in schema:
                schema = {**self._target(schema["$ref"]), **_without(schema, "$ref")}
            elif "allOf" in schema:
                schema = self._merged(schema)
            elif options := schema.get("anyOf") or schema.get("oneOf"):
                rest = _without(schema, "anyOf", "oneOf")
                schema = {**rest, **_pick(options, depth)}
            else:
                break
        return schema

    def _target(self, reference: str) -> Schema:
        node: Any = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                node = node.get(step, {}) if isinstance(node, dict) else {}
        return node if isinstance(node, dict) else {}

    def _merged(self, schema: Schema) -> Schema:
        whole: dict[str, Any] = dict(_without(schema, "allOf"))
        for part in schema["allOf"]:
            part = self._resolved(part, 0)
            both = whole, part
            whole = {**whole, **part}
            if any("properties" in side for side in both):
                whole["properties"] = _joined(both, "properties")
                whole["required"] = [n for s in both for n in s.get("required", [])]
        return whole

    def _typed(self, schema: Schema, name: str, depth: int) -> Any:
        kind = _kind(schema, depth)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("number", "integer"):
            return _number(schema)
        if kind == "boolean":
            return True
        return None if kind == "null" else self._string(schema, name)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        names = schema.get("required") or properties
        if depth > _DEEPEST:
            names = schema.get("required", [])
        if depth > 2 * _DEEPEST:  # a schema that requires itself has no finite value
            return {}
        return {n: self.value(properties.get(n), n, depth + 1) for n in names}

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        fixed = [self.value(s, name, depth + 1) for s in schema.get("prefixItems", [])]
        least, most = schema.get("minItems", 0), schema.get("maxItems", 99)
        items = schema.get("items", {})
        phrases = self.hints.get(plain(name))
        if phrases and _kind(items, depth) == "string" and "enum" not in items:
            return list(phrases)[:most]
        wanted = least if depth > _DEEPEST or fixed else max(least, 1)
        more = min(wanted, most) - len(fixed)
        return fixed + [self.value(items, name, depth + 1) for _ in range(more)]

    def _string(self, schema: Schema, name: str) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[str(schema["format"])]
        phrases = self.hints.get(plain(name))
        text: str = " ".join(phrases) if phrases else _text(name)
        text = text.ljust(schema.get("minLength", 0), ".")
        most: int = schema.get("maxLength", len(text))
        return text[:most]


def _text(name: str) -> str:
    return f"demo {name.replace('_', ' ')}".strip()


def _joined(sides: tuple[Schema, Schema], key: str) -> dict[str, Any]:
    return {**sides[0].get(key, {}), **sides[1].get(key, {})}


def _without(schema: Schema, *keys: str) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}


def _pick(options: Sequence[Any], depth: int) -> Schema:
    """The first alternative, but a null where a tree must come to its end."""
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
    if kind is None and ("items" in schema or "prefixItems" in schema):
        return "array"
    return str(kind or "string")


def _number(schema: Schema) -> int | float:
    """The first of some likely numbers that keeps within the bounds."""
    step = schema.get("multipleOf") or 1
    low = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf))
    high = schema.get("maximum", schema.get("exclusiveMaximum", math.inf))
    likely = [step]
    if low > -math.inf:
        likely += [math.ceil(low / step) * step, math.ceil(low / step) * step + step]
    if high < math.inf:
        likely += [
            math.floor(high / step) * step,
            math.floor(high / step) * step - step,
        ]
    barred = (schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum"))
    fitting = [n for n in likely if low <= n <= high and n not in barred]
    value = fitting[0] if fitting else (low + high) / 2
    return int(value) if schema.get("type") == "integer" else value
