"""The grammar of templates: `{{name}}`, and `{{> other.key@label}}` to include a prompt.

Nothing else has a meaning: no filters, no attributes, no second pass. `a.b` is one name.
Whatever else stands in braces is literal text, and so is all that comes in by a value.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

# Of a variable. Dots and dashes are part of the name, so that `{{user.name}}` is asked
# for by that name instead of being passed on to a model.
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
    """`{{> key@at}}`: replaced by the words of another text prompt.

    `at` is a label, or the digits of a version's number; '' means `production`.
    """

    key: str
    at: str = ""

    def __str__(self) -> str:
        return f"{self.key}@{self.at}" if self.at else self.key

    @property
    def version(self) -> int | None:
        """The version that it pins; None: it follows a label."""
        return int(self.at) if self.at.isdigit() else None


Piece = str | Variable | Reference


@dataclass(frozen=True)
class Template:
    """A parsed template. Its pieces, written one after another, are its text."""

    pieces: tuple[Piece, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Its variables, each once, in the order of the text."""
        found = (one.name for one in self.pieces if isinstance(one, Variable))
        return tuple(dict.fromkeys(found))

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """The prompts that it includes, each once."""
        found = (one for one in self.pieces if isinstance(one, Reference))
        return tuple(dict.fromkeys(found))

    def expand(self, included: Mapping[Reference, "Template"]) -> "Template":
        """With each reference replaced by the pieces of its (expanded) template."""
        if not self.references:
            return self
        return Template(tuple(_expanded(self.pieces, included)))

    def expanded_size(self, included: Mapping[Reference, "Template"]) -> int:
        """About how many characters `expand` would make."""
        return sum(
            included[one].size if isinstance(one, Reference) else _length(one)
            for one in self.pieces
        )

    @cached_property
    def size(self) -> int:
        """About how many characters it has; references are not counted in."""
        return sum(_length(one) for one in self.pieces)

    def length(self, values: Mapping[str, str]) -> int:
        """How many characters `render` would make. Raises KeyError."""
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
    """`text` as pieces. Every text is a template; nothing is refused."""
    return Template(tuple(_pieces(text)))


def is_name(text: str) -> bool:
    """May a variable be called so?"""
    return _WHOLE_NAME.match(text) is not None


def oddities(text: str) -> tuple[str, ...]:
    """What stands in double braces and yet is literal text: likely a slip of the pen."""
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
