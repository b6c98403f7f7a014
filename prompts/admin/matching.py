"""Diff operations of two sequences, in bounded time."""

import difflib
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile

Opcode = tuple[str, int, int, int, int]
# difflib looks at every pair of equal items, and again for each piece that is left:
# texts of one repeated line would take it minutes.
MOST_PAIRS = 30_000


def opcodes(left: Sequence[str], right: Sequence[str]) -> list[Opcode]:
    """Like difflib's opcodes; where those take too long, only both ends are matched."""
    head = _common(left, right)
    left, right = left[head:], right[head:]
    tail = _common(left[::-1], right[::-1])
    middle = len(left) - tail, len(right) - tail
    found = _matched(left[: middle[0]], right[: middle[1]])
    codes = [("equal", 0, head, 0, head)] if head else []
    codes += [
        (tag, i1 + head, i2 + head, j1 + head, j2 + head)
        for tag, i1, i2, j1, j2 in found
    ]
    if tail:
        i, j = middle[0] + head, middle[1] + head
        codes.append(("equal", i, i + tail, j, j + tail))
    return codes


def _matched(left: Sequence[str], right: Sequence[str]) -> list[Opcode]:
    if _pairs(left, right) > MOST_PAIRS:
        return [("replace", 0, len(left), 0, len(right))]
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    return [tuple(code) for code in matcher.get_opcodes()]  # type: ignore[misc]


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the common prefix."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False))
    return sum(1 for _ in same)


def _pairs(left: Sequence[str], right: Sequence[str]) -> int:
    counts = Counter(left)
    return sum(counts[one] for one in right)
