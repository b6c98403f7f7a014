"""Regular expressions of schemas: matched in linear time, and weighed before use.

The engine is Rust's, which never backtracks: no look-around and no back-references. What
a match takes is at most the length of the text times the size of the pattern, so the
size is bounded here as well.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

LONGEST = 1_000
# Of single characters, counts written out: a thousand words, or twenty thousand letters.
HEAVIEST = 20_000
# How many times a character, as an automaton, these are. \w knows all languages.
_ESCAPE, _CLASS = 100, 20
# Of a weight of one and one character: about two nanoseconds each at worst.
_PER_STEP = 1_000

_GROUPS = (
    "groups begin with '(', '(?:' or '(?<name>': look-ahead, look-behind and flags are "
    "not supported."
)
_PARTS = re.compile(
    r"""
      (?P<escape>\\(?:[pPxuU]\{[^}]*\}|.))
    | (?P<class>\[\^?\]?(?:\\.|[^\]\\])*\])
    | (?P<group>\((?:\?(?:P?<\w+>|:))?)
    | (?P<count>\{(?P<low>\d{1,4})(?:,(?P<high>\d{0,4}))?\})
    | (?P<one>.)
    """,
    re.S | re.X,
)


class BadPattern(ValueError):
    """The pattern is not understood, or too large. The message is for its author."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression, searched for as JSON Schema does: anywhere in a text."""

    weight: int
    _engine: SchemaValidator

    def steps(self, text: str) -> int:
        """What looking for it in `text` takes at most, in a schema's steps."""
        return 1 + len(text) * self.weight // _PER_STEP

    def matches(self, text: str) -> bool:
        """Is it somewhere in `text`?"""
        return self._engine.isinstance_python(text)


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Pattern:
    """`text` as a pattern. Raises BadPattern."""
    heavy = weight(text)
    schema = core_schema.str_schema(pattern=text, regex_engine="rust-regex")
    try:
        return Pattern(heavy, SchemaValidator(schema))
    except SchemaError:
        raise BadPattern(
            "it is not understood: look for brackets that are not closed; a '\\1' for "
            "what was found before is not supported."
        ) from None


def weight(text: str) -> int:
    """The size of the automaton, about, with each count written out.

    Raises BadPattern for what is too heavy, or can't be weighed.
    """
    if len(text) > LONGEST:
        raise BadPattern(f"it has more than {LONGEST:,} characters.")
    scale, opened = _Scale(), False
    for part in _PARTS.finditer(text):
        if part["one"] == "?" and opened:
            raise BadPattern(_GROUPS)
        scale.add(part)
        opened = bool(part["group"])
    if scale.total > HEAVIEST:
        raise BadPattern(
            "it is too large when its counts are written out: use '*', '+' or smaller "
            "counts, and 'maxLength'."
        )
    return scale.total


class _Scale:
    """Weights of the groups that are open, and of the part that a count would repeat."""

    def __init__(self) -> None:
        self._open, self._last = [0], 0

    @property
    def total(self) -> int:
        return sum(self._open)

    def add(self, part: re.Match[str]) -> None:
        """Raises BadPattern."""
        if part["group"]:
            self._open.append(1)
        elif part["one"] == ")" and len(self._open) > 1:
            self._last = self._open.pop()
            self._open[-1] += self._last
        elif part["count"]:
            more = self._last * (max(int(part["high"] or part["low"]), 1) - 1)
            self._last += more
            self._open[-1] += more
        elif part["one"] in ("*", "+", "?"):
            self._open[-1] += 1
        else:
            self._last = _single(part)
            self._open[-1] += self._last


def _single(part: re.Match[str]) -> int:
    """Raises BadPattern for what this module would weigh otherwise than the engine."""
    if part["escape"]:
        return _ESCAPE
    if inner := part["class"]:
        if re.search(r"(?<!\\)(?:\\\\)*\[", inner[1:]):
            raise BadPattern("write '\\[' for a '[' between '[' and ']'.")
        return _CLASS + _ESCAPE * inner.count("\\")
    if part["one"] == "{":
        raise BadPattern("write counts as in '{3}' or '{1,5}', or '\\{' for a '{'.")
    return _CLASS if part["one"] == "." else 1
