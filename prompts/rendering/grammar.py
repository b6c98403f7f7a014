"""The grammar of templates: `{{name}}`, and `{{> other.key@label}}` to include a prompt.

There are no filters, no attributes, no second pass. `a.b` is one name. All other text in
braces is literal, and so are the values.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

# A variable. Dots and dashes are part of the name, so that `{{user.name}}` is a variable
# and not literal text.
NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"
_KEY = r"[a-z0-9](?:[a-z0-9_-]|\.(?=[a-z0-9])){0,199}"
_AT = r"[a-z0-9][a-z0-9_.-]{0,39}"
_TAG = re.compile(
    rf"\{{\{{[ \t]*(?:(?P<name>{NAME})|>[ \t]*(?P<key>{_KEY})(?:@(?P<at>{_AT}))?)"
    r"[ \t]*\}\}"
)
_BRACES = re.compile(r"\{\{[^{}]{0,200}\}\}")
_WHOLE_NAME = re.compile(rf"{NAME}\Z")


@dataclass(frozen=True, slots=True)
class Variable:
    """`{{name}}`: replaced by a value."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Reference:
    """`{{> key@at}}`: replaced by the text of another text prompt.

    `at` is a label, or the digits of a version's number; '' means `production`.
    """

    key: str
    at: str = ""

    def __str__(self) -> str:
        return f"{self.key}@{self.at}" if self.at else self.key

    @property
    def version(self) -> int | None:
        """The pinned version; None if it follows a label."""
        return int(self.at) if self.at.isdigit() else None


Piece = str | Variable | Reference


@dataclass(frozen=True)
class Template:
    """A parsed template: its pieces joined are its text."""

    pieces: tuple[Piece, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of its variables, each once, in order."""
        found = (one.name for one in self.pieces if isinstance(one, Variable))
        return tuple(dict.fromkeys(found))

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """Its references to other prompts, each once."""
        found = (one for one in self.pieces if isinstance(one, Reference))
        return tuple(dict.fromkeys(found))

    def expand(self, included: Mapping[Reference, "Template"]) -> "Template":
        """The template with each reference replaced by its expanded template."""
        if not self.references:
            return self
        return Template(tuple(_expanded(self.pieces, included)))

    def expanded_size(self, included: Mapping[Reference, "Template"]) -> int:
        """The approximate size of the expanded template, in characters."""
        return sum(
            included[one].size if isinstance(one, Reference) else _length(one)
            for one in self.pieces
        )

    @cached_property
    def size(self) -> int:
        """Its approximate size in characters, references not expanded."""
        return sum(_length(one) for one in self.pieces)

    def length(self, values: Mapping[str, str]) -> int:
        """The length of the rendered text. Raises KeyError."""
        return sum(
            len(values[one.name]) if isinstance(one, Variable) else _length(one)
            for one in self.pieces
        )

    def render(self, values: Mapping[str, str]) -> str:
        """The text with each `{{name}}` replaced by its value, in one pass.

        Raises KeyError for a name without a value, TypeError for a reference left.
        """
        return "".join(
            values[piece.name] if isinstance(piece, Variable) else _literal(piece)
            for piece in self.pieces
        )


def parse(text: str) -> Template:
    """Parse `text`. Every text is a valid template."""
    return Template(tuple(_pieces(text)))


def is_name(text: str) -> bool:
    """Whether `text` is a valid name of a variable."""
    return _WHOLE_NAME.match(text) is not None


def oddities(text: str) -> tuple[str, ...]:
    """Literal texts in double braces: probably mistyped variables."""
    rest = _TAG.sub("", text)
    return tuple(dict.fromkeys(_BRACES.findall(rest)))


def _pieces(text: str) -> Iterator[Piece]:
    at = 0
    for tag in _TAG.finditer(text):
        if tag.start() > at:
            yield text[at : tag.start()]
        at = tag.end()
        name = tag["name"]
        yield Variable(name) if name else Reference(tag["key"], tag["at"] or "")
    if at < len(text):
        yield text[at:]


def _expanded(
    pieces: tuple[Piece, ...], included: Mapping[Reference, Template]
) -> Iterator[Piece]:
    for piece in pieces:
        if isinstance(piece, Reference):
            yield from included[piece].pieces
        else:
            yield piece


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, str) else len(str(piece))


def _literal(piece: str | Reference) -> str:
    if isinstance(piece, Reference):
        raise TypeError(f"{piece} is not expanded.")
    return piece
