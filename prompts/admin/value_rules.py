"""Rules for the values of variables, translated to and from JSON Schema."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

ANY, SHORT, WHOLE, NUMBER, YES_NO, ONE_OF, OWN = (
    "any", "short", "whole", "number", "yes_no", "one_of", "schema",
)  # fmt: skip
KINDS = (
    (ANY, "Anything"),
    (SHORT, "Text of limited length"),
    (ONE_OF, "One of these"),
    (WHOLE, "A whole number"),
    (NUMBER, "A number"),
    (YES_NO, "Yes or no"),
    (OWN, "By a JSON Schema"),
)
_SIMPLE: dict[str, dict[str, Any]] = {
    WHOLE: {"type": "integer"},
    NUMBER: {"type": "number"},
    YES_NO: {"type": "boolean"},
}


@dataclass(frozen=True, slots=True)
class ValueRule:
    """A kind of KINDS and what belongs to it: a length, the choices, or a schema."""

    kind: str = ANY
    detail: str = ""


def rule_from_schema(schema: Any) -> ValueRule:
    """The simplest rule that means the same as `schema`."""
    if not schema:
        return ValueRule()
    for kind, simple in _SIMPLE.items():
        if schema == simple:
            return ValueRule(kind)
    if isinstance(schema, Mapping):
        if set(schema) == {"type", "maxLength"} and schema["type"] == "string":
            return ValueRule(SHORT, str(schema["maxLength"]))
        if set(schema) == {"enum"} and _plain(schema["enum"]):
            return ValueRule(ONE_OF, ", ".join(schema["enum"]))
    return ValueRule(OWN, json.dumps(schema, ensure_ascii=False))


def schema_from_rule(rule: ValueRule, name: str) -> dict[str, Any] | None:
    """The JSON Schema that `rule` means. Raises ValidationError, naming the variable."""
    if rule.kind in _SIMPLE:
        return dict(_SIMPLE[rule.kind])
    if rule.kind == SHORT:
        return {"type": "string", "maxLength": _length(rule.detail, name)}
    if rule.kind == ONE_OF:
        return {"enum": _choices(rule.detail, name)}
    return _own(rule.detail, name) if rule.kind == OWN else None


def parse_value(text: str, schema: Any) -> Any:
    """The text of a form field as the kind of value that `schema` asks for.

    Text that is not of that kind stays text, and is refused by the schema.
    """
    wanted = schema.get("type", "string") if isinstance(schema, Mapping) else "string"
    if wanted == "string" or not isinstance(wanted, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _plain(choices: Any) -> bool:
    return isinstance(choices, list) and all(
        isinstance(one, str) and one.strip() == one and one and "," not in one
        for one in choices
    )


def _length(detail: str, name: str) -> int:
    if not detail.isdecimal() or not int(detail):
        raise ValidationError(
            f"“{name}”: enter the largest number of characters, e.g. 200."
        )
    return int(detail)


def _choices(detail: str, name: str) -> list[str]:
    choices = [one.strip() for one in detail.split(",") if one.strip()]
    if not choices:
        raise ValidationError(
            f"“{name}”: list the allowed values, separated by commas, e.g. short, long."
        )
    return list(dict.fromkeys(choices))


def _own(detail: str, name: str) -> dict[str, Any]:
    try:
        schema = json.loads(detail)
    except ValueError as error:
        raise ValidationError(
            f"“{name}”: its JSON Schema can't be read as JSON ({error}). "
            'Write it as in {"type": "string"}.'
        ) from error
    if not isinstance(schema, dict):
        raise ValidationError(
            f'“{name}”: a JSON Schema is an object, as in {{"type": "string"}}.'
        )
    return schema
