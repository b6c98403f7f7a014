"""The editor's form: text, variables and settings of a new version."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from prompts.admin.value_rules import (
    ANY,
    KINDS,
    ValueRule,
    parse_value,
    rule_from_schema,
    schema_from_rule,
)
from prompts.models import Prompt, PromptVersion
from prompts.models.prompt import PromptKind
from prompts.rendering import grammar
from valuecanvas.core.admin.forms import ConsoleForm

ROLES = (
    ("system", "System"),
    ("developer", "Developer"),
    ("user", "User"),
    ("assistant", "Assistant"),
)
MUST, DEFAULT = "must", "default"
_OWN_FIELDS = ("temperature", "max_tokens")
_VARIABLE_FIELDS = ("name", "description", "left_out", "default", "kind", "detail", "sample")  # fmt: skip


class VersionForm(ConsoleForm):
    """Starts with the values of `source`. Messages and variables are rows."""

    template = forms.CharField(
        label="Text",
        required=False,
        strip=False,
        max_length=100_000,
        widget=forms.Textarea({"rows": 14, "spellcheck": "true"}),
    )
    messages = forms.Field(required=False)
    variables = forms.Field(required=False)
    model = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput({"list": "model-names"}),
        help_text="Empty: the program names the model.",
    )
    temperature = forms.FloatField(
        min_value=0,
        max_value=2,
        required=False,
        widget=forms.NumberInput({"step": "0.1"}),
        help_text="0 to 2. Empty: the provider's.",
    )
    max_tokens = forms.IntegerField(
        label="Longest answer, in tokens",
        min_value=1,
        required=False,
        help_text="Empty: the tier's cap. A lower cap of the tier or the model applies.",
    )
    parameters = forms.CharField(
        label="Other parameters",
        required=False,
        widget=forms.Textarea({"rows": 3}),
        help_text='JSON that is sent along, e.g. {"top_p": 0.9}.',
    )
    note = forms.CharField(
        label="What changed, and why",
        max_length=2000,
        widget=forms.Textarea({"rows": 2}),
        help_text="Kept in the history, with your name.",
        error_messages={"required": "Write in a few words what changed, and why."},
    )
    based_on = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        prompt: Prompt,
        data: Any = None,
        *,
        source: PromptVersion | None = None,
        newest: int | None = None,
    ) -> None:
        super().__init__(data, initial={**_initial(source), "based_on": newest})
        self.prompt = prompt
        self.chat = prompt.kind == PromptKind.CHAT
        self.message_rows = (
            list(_sent_messages(data)) if data else _own_messages(source, self.chat)
        )
        self.variable_rows = (
            list(_sent_variables(data)) if data else _own_variables(source)
        )

    # -- content -------------------------------------------------------------------

    def texts(self) -> list[str]:
        """Every text of the version as entered."""
        if self.chat:
            return [row["content"] for row in self.message_rows]
        return [_unix(self["template"].value() or "")]

    def names(self) -> list[str]:
        """The variables that the texts use, in their order."""
        found = (grammar.parse(text).names for text in self.texts())
        return list(dict.fromkeys(name for names in found for name in names))

    def words(self) -> dict[str, Any]:
        """`template` or `messages` for the services."""
        if self.chat:
            return {"messages": [dict(row) for row in self.message_rows]}
        return {"template": self.texts()[0]}

    def declared(self) -> list[dict[str, Any]]:
        """All variables, also undeclared ones of the texts. Raises ValidationError."""
        rows = {row["name"]: row for row in self.variable_rows}
        for name in self.names():
            rows.setdefault(name, _row(name))
        return [_declaration(row) for row in rows.values()]

    def samples(self) -> dict[str, Any]:
        """The sample values as entered. Raises ValidationError."""
        schemas = {one["name"]: one.get("schema") for one in self.declared()}
        return {
            row["name"]: parse_value(row["sample"], schemas[row["name"]])
            for row in self.variable_rows
            if row["sample"]
        }

    def rows(self) -> list[dict[str, Any]]:
        """The variables for the template; undeclared ones come last."""
        known = {row["name"] for row in self.variable_rows}
        used = set(self.names())
        new = [_row(name) for name in self.names() if name not in known]
        return [
            {**row, "used": row["name"] in used} for row in [*self.variable_rows, *new]
        ]

    # -- checks --------------------------------------------------------------------

    def clean_parameters(self) -> dict[str, Any]:
        text = self.cleaned_data["parameters"].strip()
        if not text:
            return {}
        try:
            found = json.loads(text)
        except ValueError as error:
            raise ValidationError(
                f'This is not JSON ({error}). Write it as in {{"top_p": 0.9}}.'
            ) from error
        if not isinstance(found, dict):
            raise ValidationError('Write names with values, as in {"top_p": 0.9}.')
        if twice := [name for name in _OWN_FIELDS if name in found]:
            raise ValidationError(f"Set {twice[0]} in its own field, not here.")
        return found

    def clean_variables(self) -> list[dict[str, Any]]:
        return self.declared()

    def settings(self) -> dict[str, Any]:
        """All parameters to send upstream, of a valid form."""
        own = {name: self.cleaned_data[name] for name in _OWN_FIELDS}
        given = {name: value for name, value in own.items() if value is not None}
        return {**given, **self.cleaned_data["parameters"]}


def _initial(source: PromptVersion | None) -> dict[str, Any]:
    if source is None:
        return {}
    rest = {k: v for k, v in source.parameters.items() if k not in _OWN_FIELDS}
    return {
        "template": source.template,
        "model": source.model,
        **{name: source.parameters.get(name) for name in _OWN_FIELDS},
        "parameters": json.dumps(rest, indent=2, ensure_ascii=False) if rest else "",
    }


def _own_messages(source: PromptVersion | None, chat: bool) -> list[dict[str, Any]]:
    if source is not None:
        return [
            {"role": one["role"], "content": one["content"]} for one in source.messages
        ]
    roles = ("system", "user") if chat else ()
    return [{"role": role, "content": ""} for role in roles]


def _own_variables(source: PromptVersion | None) -> list[dict[str, Any]]:
    rows = []
    for one in source.variables if source else []:
        rule, default = rule_from_schema(one.get("schema")), one.get("default")
        rows.append(
            _row(
                one["name"],
                description=one.get("description", ""),
                left_out=MUST if default is None else DEFAULT,
                default=default_text(default),
                kind=rule.kind,
                detail=rule.detail,
            )
        )
    return rows


def _row(name: str, **values: str) -> dict[str, Any]:
    blank = dict.fromkeys(_VARIABLE_FIELDS, "")
    return {**blank, "left_out": MUST, "kind": ANY, **values, "name": name}


def default_text(value: Any) -> str:
    """A default as people type it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _unix(text: str) -> str:
    """Browsers send every new line as two characters."""
    return text.replace("\r\n", "\n")


def _sent_messages(data: Any) -> Iterator[dict[str, str]]:
    roles, contents = data.getlist("role"), data.getlist("content")
    for role, content in zip(roles, contents, strict=False):
        yield {"role": role, "content": _unix(content)}


def _sent_variables(data: Any) -> Iterator[dict[str, str]]:
    columns = [data.getlist(f"var_{name}") for name in _VARIABLE_FIELDS]
    for values in zip(*columns, strict=False):
        row = dict(zip(_VARIABLE_FIELDS, values, strict=True))
        if row["name"].strip():
            yield {**row, "name": row["name"].strip()}


def _declaration(row: Mapping[str, Any]) -> dict[str, Any]:
    kind = row["kind"] if row["kind"] in dict(KINDS) else ANY
    schema = schema_from_rule(ValueRule(kind, row["detail"].strip()), row["name"])
    found: dict[str, Any] = {"name": row["name"]}
    if row["description"].strip():
        found["description"] = row["description"].strip()
    if row["left_out"] == DEFAULT:
        found["default"] = parse_value(row["default"], schema)
    if schema is not None:
        found["schema"] = schema
    return found
