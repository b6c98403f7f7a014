"""Regular expressions of schemas: matched in linear time, with a bounded size.

Rust's engine never backtracks: no look-around and no back-references. A match takes at
most the length of the text times the size of the pattern, so the size is bounded here.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

LONGEST = 1_000
# The largest weight, in characters with counts written out.
HEAVIEST = 20_000
# Weights in characters, by the size of the automaton. \w has all languages.
_ESCAPE, _CLASS = 100, 20
# Weight times characters in one step; one takes about two nanoseconds at worst.
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
    """The pattern is invalid or too large. The message is for its author."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression that matches anywhere in a text, as JSON Schema says."""

    weight: int
    _engine: SchemaValidator

    def steps(self, text: str) -> int:
        """The most steps that a search in `text` takes."""
        return 1 + len(text) * self.weight // _PER_STEP

    def matches(self, text: str) -> bool:
        """Whether it matches somewhere in `text`."""
        return self._engine.isinstance_python(text)


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> Pattern:
    """Compile a pattern. Raises BadPattern."""
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
    """The approximate size of the automaton, with counts written out.

    Raises BadPattern if it is too large or cannot be computed.
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
    """Weights of the open groups, and of the last part, which a count repeats."""

    def __init__(self) -> None:
        self._open, self._last = [0], 0

    @property
    def total(self) -> int:
        return sum(self._open)

    def add(self, part: re.Match[str]) -> None:
        """Add a part of a pattern. Raises BadPattern."""
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
    """The weight of a single part. Raises BadPattern if the engine may read it otherwise."""
    if part["escape"]:
        return _ESCAPE
    if inner := part["class"]:
        if re.search(r"(?<!\\)(?:\\\\)*\[", inner[1:]):
            raise BadPattern("write '\\[' for a '[' between '[' and ']'.")
        return _CLASS + _ESCAPE * inner.count("\\")
    if part["one"] == "{":
        raise BadPattern("write counts as in '{3}' or '{1,5}', or '\\{' for a '{'.")
    return _CLASS if part["one"] == "." else 1
