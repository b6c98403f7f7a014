"""Rules for versions: templates, messages, variables, parameters."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from django.core.exceptions import ValidationError

from prompts.config import VersionFacts
from prompts.models.prompt import PromptKind
from prompts.rendering import grammar, schema_rules, variables
from prompts.rendering.patterns import HEAVIEST
from valuecanvas.core.json_numbers import REMEDY, too_large
from valuecanvas.core.parameters import RESERVED, wrong

ROLES = ("system", "developer", "user", "assistant")
LONGEST = 100_000
MOST_MESSAGES = 100
MOST_VARIABLES = 200
_VARIABLE_FIELDS = frozenset({"name", "description", "default", "schema"})


@dataclass(frozen=True, slots=True)
class PromptTexts:
    """The checked content of a version, in its stored form."""

    kind: str
    template: str
    messages: list[dict[str, str]]
    variables: list[dict[str, Any]]
    model: str
    parameters: dict[str, Any]

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of a version with this content, but its digest."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        del found["kind"]
        return found

    @property
    def digest(self) -> str:
        """SHA-256 over canonical JSON: equal for equal content."""
        text = json.dumps(
            asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":")
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def facts(self, number: int) -> VersionFacts:
        """The version for the snapshot."""
        return VersionFacts(
            number,
            self.template,
            json.dumps(self.messages),
            json.dumps(self.variables),
            self.model,
            json.dumps(self.parameters),
            self.digest,
        )


def check_words(
    kind: str,
    *,
    template: str,
    messages: Sequence[Mapping[str, Any]],
    declared: Sequence[str | Mapping[str, Any]],
    model: str,
    parameters: Mapping[str, Any],
) -> PromptTexts:
    """Check the content; the stored form, with undeclared names as variables.

    Raises ValidationError by field.
    """
    chat = kind == PromptKind.CHAT
    if messages and not chat:
        raise _wrong("messages", "A text prompt has a template, not messages.")
    rows = _messages(messages) if chat else []
    texts = [row["content"] for row in rows] if chat else [_text(template)]
    if chat and template:
        raise _wrong("template", "A chat prompt has messages, not a template.")
    return PromptTexts(
        kind,
        template,
        rows,
        _with_undeclared(_variables(declared), texts),
        _model(model),
        _parameters(parameters),
    )


def check_storable(field: str, value: object) -> None:
    """Check that JSON and the database can hold a value. Raises ValidationError."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
        large = too_large(value)
    except UnicodeEncodeError:
        raise _wrong(field, "It has half a character (a lone surrogate).") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise _wrong(field, f"It can't be written as JSON: {error}.") from None
    if large:
        raise _wrong(field, REMEDY)
    if "\\u0000" in text.replace("\\\\", ""):
        raise _wrong(field, "It has a NUL character.")


def _wrong(field: str, text: str) -> ValidationError:
    return ValidationError({field: text})


def _text(template: str, field: str = "template") -> str:
    if not isinstance(template, str) or not template.strip():
        raise _wrong(field, "Write some text.")
    if len(template) > LONGEST:
        raise _wrong(field, f"At most {LONGEST:,} characters.")
    check_storable(field, template)
    return template


def _messages(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    if not isinstance(rows, list | tuple) or not rows:
        raise _wrong("messages", "A chat prompt has at least one message.")
    if len(rows) > MOST_MESSAGES:
        raise _wrong("messages", f"At most {MOST_MESSAGES} messages.")
    return [_message(number, row) for number, row in enumerate(rows, start=1)]


def _message(number: int, row: object) -> dict[str, str]:
    if not isinstance(row, Mapping) or set(row) != {"role", "content"}:
        raise _wrong("messages", f'Message {number}: write {{"role", "content"}}.')
    if row["role"] not in ROLES:
        known = ", ".join(ROLES)
        raise _wrong("messages", f"Message {number}: the role is one of {known}.")
    try:
        return {"role": row["role"], "content": _text(row["content"], "messages")}
    except ValidationError as error:
        text = f"Message {number}: {error.messages[0]}"
        raise _wrong("messages", text) from None


def _variables(rows: Sequence[str | Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not isinstance(rows, list | tuple):
        raise _wrong("variables", "Variables are a list.")
    if len(rows) > MOST_VARIABLES:
        raise _wrong("variables", f"At most {MOST_VARIABLES} variables.")
    found: dict[str, dict[str, Any]] = {}
    patterns = 0
    for row in rows:
        one = _variable(row)
        if one["name"] in found:
            raise _wrong("variables", f"'{one['name']}' is declared twice.")
        found[one["name"]] = one
        patterns += schema_rules.weight(one.get("schema", {}))
        # Each process compiles those of a version when it is first used.
        if patterns > HEAVIEST:
            raise _wrong("variables", f"'{one['name']}': {schema_rules.TOO_HEAVY}")
    return list(found.values())


def _variable(row: object) -> dict[str, Any]:
    """A declaration with its fields that are not empty."""
    if isinstance(row, str):
        row = {"name": row}
    if not isinstance(row, Mapping):
        raise _wrong("variables", 'A variable is a name, or an object with "name".')
    name = row.get("name")
    if not isinstance(name, str) or not grammar.is_name(name):
        raise _wrong(
            "variables",
            f"'{str(name)[:64]}' is not a name: begin with a letter or '_', go on with "
            "letters, digits, '_', '-' and '.', 64 at most.",
        )
    if unknown := sorted(str(one) for one in row.keys() - _VARIABLE_FIELDS):
        raise _wrong("variables", f"'{name}': unknown field '{unknown[0]}'.")
    if not isinstance(row.get("description", ""), str):
        raise _wrong("variables", f"'{name}': the description is a text.")
    check_storable("variables", dict(row))
    schema = row.get("schema") or {}
    if problem := variables.schema_problem(schema):
        raise _wrong("variables", f"'{name}': {problem}")
    _default(name, row.get("default"), schema)
    filled = {"name": name, "description": row.get("description", ""), "schema": schema}
    kept = {field: value for field, value in filled.items() if value}
    default = row.get("default")
    return kept if default is None else {**kept, "default": default}


def _default(name: str, default: object, schema: Mapping[str, Any]) -> None:
    if default is None:
        return
    if reason := variables.Declaration(name, schema=schema).find_error(default):
        text = f"'{name}': the default does not match the schema: {reason}"
        raise _wrong("variables", text)


def _with_undeclared(
    declared: list[dict[str, Any]], texts: Sequence[str]
) -> list[dict[str, Any]]:
    known = {one["name"]: one for one in declared}
    for text in texts:
        for name in grammar.parse(text).names:
            known.setdefault(name, {"name": name})
    if len(known) > MOST_VARIABLES:
        raise _wrong("variables", f"At most {MOST_VARIABLES} variables.")
    return list(known.values())


def _model(model: str) -> str:
    if not isinstance(model, str) or len(model) > 200:
        raise _wrong("model", "A model's name has at most 200 characters.")
    check_storable("model", model)
    return model


def _parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(parameters, Mapping):
        raise _wrong("parameters", 'Write an object, such as {"temperature": 0.2}.')
    if taken := sorted(RESERVED & parameters.keys()):
        raise _wrong("parameters", f"'{taken[0]}' cannot be set by a prompt.")
    if fault := wrong(parameters):
        raise _wrong("parameters", fault)
    check_storable("parameters", dict(parameters))
    return dict(parameters)
