"""Conditions as text, one per line, such as `country in DE, AT`."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from prompts.experiments import targeting

_LINE = re.compile(r"(\S+)\s+(\w+)(?:\s+(.*))?")
_LISTS = ("in", "not_in")
EXAMPLE = "country in DE, AT"


def parse_conditions(text: str) -> list[dict[str, Any]]:
    """The conditions of `text`. Raises ValidationError naming the line."""
    rows = []
    lines = [line.strip() for line in text.splitlines()]
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        row = _row(line)
        if row is None:
            raise ValidationError(f"Line {number}: write it as in '{EXAMPLE}'.")
        rows.append(row)
    targeting.check(rows)
    return rows


def format_conditions(rows: Sequence[Mapping[str, Any]]) -> str:
    """The text that `parse_conditions` reads as `rows`."""
    return "\n".join(_line(row) for row in rows)


def _row(line: str) -> dict[str, Any] | None:
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    attribute, operator, rest = found.groups()
    rest = (rest or "").strip()
    if operator == "exists":
        value: Any = _value(rest) if rest else True
    elif operator in _LISTS:
        value = [_value(one.strip()) for one in rest.split(",") if one.strip()]
    else:
        value = _value(rest)
    return {"attribute": attribute, "operator": operator, "value": value}


def _value(text: str) -> Any:
    """A JSON number, true, false or "quoted text"; otherwise the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool) else text


def _line(row: Mapping[str, Any]) -> str:
    value, operator = row.get("value"), row["operator"]
    if operator in _LISTS:
        operand = ", ".join(_word(one) for one in value or [])
    elif operator == "exists" and value in (None, True):
        operand = ""
    else:
        operand = _word(value)
    return f"{row['attribute']} {operator} {operand}".rstrip()


def _word(value: Any) -> str:
    """The value, quoted if it would otherwise be read as another one."""
    if not isinstance(value, str):
        return json.dumps(value)
    plain = bool(value) and value == value.strip() and _value(value) == value
    return value if plain and "\n" not in value else json.dumps(value)
