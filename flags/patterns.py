"""Regular expressions that cannot run away: a small language, priced before it is used.

Python's engine backtracks, so a hostile pattern takes exponential time. Here a pattern
is refused if the number of ways to try it could pass a limit: nothing repeated may hold
a choice, and repeats, alternatives and optional parts multiply. A pattern has to match
the whole value, and longer values match nothing.
"""

import re

MOST_PATTERN = 200
MOST_INPUT = 200
# Ways to try, for the longest value: about a millisecond.
MOST_WAYS = 100_000
_ESCAPED = frozenset("dDwWsS" + r"\.^$|?*+()[]{}-/ @:#=!<>&~,;'\"%_")
_BOUNDS = re.compile(r"\{(\d{1,3})(?:(,)(\d{0,3}))?\}")


class BadPattern(ValueError):
    """The pattern is not understood, or could take too long."""


def compiled(text: str) -> re.Pattern[str]:
    """`text` as a regular expression. Raises BadPattern."""
    if len(text) > MOST_PATTERN:
        raise BadPattern(f"A pattern may have at most {MOST_PATTERN} characters.")
    reader = _Reader(text)
    reader.alternatives(0)
    if reader.ways > MOST_WAYS:
        raise BadPattern(
            "This pattern could take too long: use fewer '*', '+', '?' and '|'."
        )
    try:
        return re.compile(text)
    except re.error as error:
        raise BadPattern(f"This is no pattern: {error.msg}.") from error


class _Reader:
    """Walks over a pattern, and multiplies the ways to try it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.ways = 1

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def alternatives(self, depth: int) -> None:
        choices = 1
        while char := self._next():
            if char == ")" and depth:
                break
            self._at += 1
            if char == "|":
                choices += 1
            elif char not in "^$":
                self._piece(char, depth)
        self.ways *= choices

    def _piece(self, char: str, depth: int) -> None:
        group = char == "("
        if group:
            self._group(depth)
        elif char == "[":
            self._class()
        elif char == "\\":
            self._escape()
        elif char in "*+?{)":
            raise BadPattern(f"'{char}' needs something before it.")
        self._repeat(group=group)

    def _group(self, depth: int) -> None:
        if self._text.startswith("?:", self._at):
            self._at += 2
        elif self._next() == "?":
            raise BadPattern("Only plain groups, '(...)' and '(?:...)', are known.")
        self.alternatives(depth + 1)
        if self._next() != ")":
            raise BadPattern("A '(' is not closed.")
        self._at += 1

    def _class(self) -> None:
        if self._next() == "^":
            self._at += 1
        first = self._at
        while (char := self._next()) != "]" or self._at == first:
            self._at += 1
            if char == "\\":
                self._escape()
            elif char in ("", "["):
                raise BadPattern("A '[' is not closed, or holds another one.")
        self._at += 1

    def _escape(self) -> None:
        if self._next() not in _ESCAPED or not self._next():
            raise BadPattern(f"'\\{self._next()}' is not known here.")
        self._at += 1

    def _repeat(self, *, group: bool) -> None:
        char = self._next()
        if char == "?":
            self._at += 1
            self.ways *= 2
        elif char and char in "*+":
            self._at += 1
            self._many(MOST_INPUT, group=group)
        elif char == "{":
            self._counted(group=group)
        else:
            return
        if self._next() and self._next() in "*+?{":
            raise BadPattern("Only one of '*', '+', '?' and '{}' at a place.")

    def _counted(self, *, group: bool) -> None:
        found = _BOUNDS.match(self._text, self._at)
        if found is None:
            raise BadPattern("Write counts as in '{3}' or '{1,5}'.")
        self._at = found.end()
        low = int(found[1])
        if found[2]:
            self._many(int(found[3] or MOST_INPUT) - low + 1, group=group)
        elif group:
            raise BadPattern("A group may not be repeated.")

    def _many(self, ways: int, *, group: bool) -> None:
        if group:
            raise BadPattern("A group may not be repeated.")
        self.ways *= max(ways, 1)
