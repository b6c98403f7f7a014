"""The preview: a draft's text as the model would get it, with marked parts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

from prompts.admin.included import DEEPEST, included_variables, referenced_version
from prompts.admin.version_form import VersionForm, default_text
from prompts.rendering import grammar


@dataclass(frozen=True, slots=True)
class PreviewPart:
    """A part of the text. Kinds: text, value, default, missing, included, broken."""

    text: str
    kind: str = "text"
    title: str = ""


@dataclass(frozen=True, slots=True)
class PreviewMessage:
    role: str
    bits: tuple[PreviewPart, ...]

    @property
    def text(self) -> str:
        return "".join(bit.text for bit in self.bits)


@dataclass(frozen=True, slots=True)
class Preview:
    """Messages with the values filled in, and warnings."""

    messages: tuple[PreviewMessage, ...]
    missing: tuple[str, ...]
    warnings: tuple[str, ...]
    error: str = ""


def show(form: VersionForm) -> Preview:
    """The preview of the form's text with its sample values."""
    try:
        values, error = form.samples(), ""
    except ValidationError as refused:
        values, error = {}, refused.messages[0]
    known = _values(form, values)
    messages = tuple(
        PreviewMessage(role, tuple(_bits(text, known, DEEPEST)))
        for role, text in _texts(form)
    )
    bits = [bit for message in messages for bit in message.bits]
    return Preview(
        messages=messages,
        missing=tuple(
            dict.fromkeys(bit.title for bit in bits if bit.kind == "missing")
        ),
        warnings=tuple(_warnings(form, bits)),
        error=error,
    )


def _texts(form: VersionForm) -> list[tuple[str, str]]:
    if form.chat:
        return [(row["role"], row["content"]) for row in form.message_rows]
    return [("user", form.texts()[0])]


def _values(form: VersionForm, samples: Mapping[str, Any]) -> dict[str, PreviewPart]:
    """For each variable its sample, or its default, or an included prompt's default."""
    found = {
        name: PreviewPart(default_text(one["default"]), "default", name)
        for name, one in included_variables(form.texts()).items()
        if one.get("default") is not None
    }
    for row in form.rows():
        name = row["name"]
        if name in samples:
            found[name] = PreviewPart(default_text(samples[name]), "value", name)
        elif row["left_out"] == "default":
            found[name] = PreviewPart(row["default"], "default", name)
        else:
            found[name] = PreviewPart(f"{{{{{name}}}}}", "missing", name)
    return found


def _bits(
    text: str, values: Mapping[str, PreviewPart], depth: int
) -> Iterator[PreviewPart]:
    for piece in grammar.parse(text).pieces:
        if isinstance(piece, str):
            yield PreviewPart(piece)
        elif isinstance(piece, grammar.Variable):
            unknown = PreviewPart(f"{{{{{piece.name}}}}}", "missing", piece.name)
            yield values.get(piece.name, unknown)
        else:
            yield from _included(piece, values, depth)


def _included(
    reference: grammar.Reference, values: Mapping[str, PreviewPart], depth: int
) -> Iterator[PreviewPart]:
    version = referenced_version(reference) if depth else None
    if version is None:
        yield PreviewPart(f"{{{{> {reference}}}}}", "broken", str(reference))
        return
    title = f"from {reference.key}, version {version.number}"
    for bit in _bits(version.template, values, depth - 1):
        yield PreviewPart(bit.text, "included", title) if bit.kind == "text" else bit


def _warnings(form: VersionForm, bits: list[PreviewPart]) -> Iterator[str]:
    for text in form.texts():
        for odd in grammar.oddities(text):
            yield (
                f"{odd} is not a variable and is sent as it is. A variable "
                "is one word in double braces, as in {{name}}."
            )
    for broken in dict.fromkeys(bit.title for bit in bits if bit.kind == "broken"):
        yield f"There is no prompt {broken} to include."
