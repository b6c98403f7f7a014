"""Variables of prompts: declarations, checks of values, their text."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from prompts.rendering import schema_rules
from prompts.rendering.schema import Steps, mismatch, validator
from valuecanvas.core.errors import InvalidRequest

MOST_NAMES = 20


@dataclass(frozen=True)
class Declaration:
    """The declaration of a variable. Without a default (None) it is required."""

    name: str
    description: str = ""
    default: Any = None
    schema: Mapping[str, Any] = field(default_factory=dict)

    @property
    def required(self) -> bool:
        return self.default is None

    def find_error(self, value: object, steps: Steps | None = None) -> str | None:
        """Why `value` does not match the schema; None if it does.

        `steps` are those of the whole request, if there is one.
        """
        if self._validator is None:
            return None
        found = mismatch(self._validator, value, steps or Steps())
        return found and _shorten(found)

    @cached_property
    def _validator(self) -> Any:
        return validator(self.schema) if self.schema else None


def load_variables(rows: Iterable[Mapping[str, Any]]) -> tuple[Declaration, ...]:
    """Declarations from their stored rows."""
    return tuple(
        Declaration(
            row["name"],
            row.get("description", ""),
            row.get("default"),
            row.get("schema") or {},
        )
        for row in rows
    )


def check(rows: Iterable[Declaration], given: Mapping[str, object]) -> dict[str, str]:
    """The text of every declared variable, from `given` or its default.

    A value of None counts as missing. Raises InvalidRequest, which names all missing and
    unknown variables, or the first one that does not match its schema.
    """
    known = {one.name: one for one in rows}
    values = {name: value for name, value in given.items() if value is not None}
    missing = [n for n, one in known.items() if one.required and n not in values]
    unknown = [name for name in given if name not in known]
    if missing or unknown:
        raise _misnamed(missing, unknown)
    steps = Steps()
    for name, value in values.items():
        if reason := known[name].find_error(value, steps):
            raise InvalidRequest(
                f"Variable '{name}' does not match its schema: {reason}",
                param=f"prompt.variables.{name}",
                code="invalid_prompt_variable",
            )
    return {name: text(values.get(name, one.default)) for name, one in known.items()}


def text(value: object) -> str:
    """A value as text: a string as it is, others as JSON.

    Raises InvalidRequest for JSON that is nested too deeply.
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise InvalidRequest(
            "A prompt variable is nested too deeply.", param="prompt.variables"
        ) from None


def schema_problem(schema: object) -> str | None:
    """Why `schema` cannot be used; None if it can."""
    found = schema_rules.problem(schema)
    return found and _shorten(found)


def _misnamed(missing: list[str], unknown: list[str]) -> InvalidRequest:
    parts = [_listed("Missing", missing), _listed("Unknown", unknown)]
    return InvalidRequest(
        " ".join(part for part in parts if part),
        param="prompt.variables",
        code="invalid_prompt_variables",
        extra={"missing": missing[:MOST_NAMES], "unknown": unknown[:MOST_NAMES]},
    )


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    listed = ", ".join(f"'{_shorten(name)}'" for name in names[:MOST_NAMES])
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{what} prompt variable{'s' if len(names) > 1 else ''}: {listed}{more}."


def _shorten(message: str) -> str:
    """Shorten a message: jsonschema quotes the whole value."""
    return message if len(message) <= 300 else f"{message[:150]} … {message[-149:]}"
