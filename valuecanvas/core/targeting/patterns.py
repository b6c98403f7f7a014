"""Regular expressions by operators, matched in linear time by RE2.

A pattern must match the whole value; too long values match nothing. `\\w`, `\\d` and
`\\s` stand for ASCII; `\\pL` for the letters of all languages.
https://github.com/google/re2/wiki/Syntax
"""

import re
from functools import lru_cache
from typing import Protocol

import re2

MOST_PATTERN = 200
MOST_INPUT = 200
# Steps of RE2's program: what one character of a value may cost, at about 2 ns each.
MOST_STEPS = 2_000
# The sum for all patterns of one flag or experiment: some 10 ms for the longest values.
MOST_STEPS_TOGETHER = 20_000
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class BadPattern(ValueError):
    """The pattern is not valid, or could take too long."""


class Pattern(Protocol):
    """A compiled pattern of RE2."""

    pattern: str
    programsize: int

    def fullmatch(self, text: str) -> object | None: ...


@lru_cache(maxsize=4096)
def compile_pattern(text: str) -> Pattern:
    """`text` as a regular expression. Raises BadPattern."""
    if len(text) > MOST_PATTERN:
        raise BadPattern(f"A pattern may have at most {MOST_PATTERN} characters.")
    # RE2 knows every escape that Python's engine allowed, except this one.
    plain = _ESCAPE.sub(lambda found: "_" if found[1] == "_" else found[0], text)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        pattern: Pattern = re2.compile(plain, options)
    except re2.error as error:
        raise BadPattern(f"This pattern is not valid: {_message(error)}.") from error
    if pattern.programsize > MOST_STEPS:
        raise BadPattern("This pattern could take too long: use smaller counts.")
    return pattern


def _message(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
