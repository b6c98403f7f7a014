"""The differences of two versions, by lines and by words in them."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from prompts.admin.matching import opcodes
from prompts.models import PromptVersion

# Unchanged lines that are shown around a change; longer runs are folded.
AROUND = 3
# Words with the spaces before them.
_WORDS = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")
# Rows of one section; more are too many for a browser.
MOST_ROWS = 3_000


@dataclass(frozen=True, slots=True)
class DiffPart:
    """A part of a line; `changed`: it is only on this side."""

    text: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    number: int
    bits: tuple[DiffPart, ...]


@dataclass(frozen=True, slots=True)
class DiffRow:
    """A line of each side, None without one. `skipped` counts folded lines."""

    kind: str
    left: Side | None = None
    right: Side | None = None
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class DiffSection:
    """A part of a version: its text, a message, its variables, its parameters."""

    title: str
    rows: tuple[DiffRow, ...]
    changed: bool

    @property
    def cut(self) -> bool:
        """Whether some rows are left out."""
        return len(self.rows) == MOST_ROWS


def sections(old: PromptVersion, new: PromptVersion) -> list[DiffSection]:
    """Every section of the two versions in order, also identical ones."""
    left, right = parts(old), parts(new)
    titles = list(dict.fromkeys([*left, *right]))
    return [
        DiffSection(
            title,
            tuple(islice(rows(left.get(title, ""), right.get(title, "")), MOST_ROWS)),
            left.get(title, "") != right.get(title, ""),
        )
        for title in titles
    ]


def parts(version: PromptVersion) -> dict[str, str]:
    """A version as readable texts by title."""
    words = {"Text": version.template} if version.template else {}
    for at, message in enumerate(version.messages, 1):
        content = message.get("content", "")
        text = content if isinstance(content, str) else _json(content)
        words[f"Message {at}: {message.get('role', '')}"] = text
    return {
        **words,
        "Variables": "\n".join(_variable(one) for one in version.variables),
        "Model and parameters": _settings(version),
    }


def rows(old: str, new: str) -> Iterator[DiffRow]:
    """The lines of two texts, paired; runs without a change are folded."""
    left, right = _lines(old), _lines(new)
    codes = opcodes(left, right)
    last = len(codes) - 1
    for at, (tag, i1, i2, j1, j2) in enumerate(codes):
        if tag == "equal":
            same = list(_same(left, range(i1, i2), j1 - i1))
            yield from _folded(same, first=at == 0, last=at == last)
        else:
            yield from _changed(left, right, (range(i1, i2), range(j1, j2)))


def _lines(text: str) -> list[str]:
    """Lines of `text`; `splitlines` would drop a last empty line."""
    return text.split("\n") if text else []


def _same(lines: Sequence[str], at: range, shift: int) -> Iterator[DiffRow]:
    for i in at:
        bits = (DiffPart(lines[i]),)
        yield DiffRow("same", Side(i + 1, bits), Side(i + 1 + shift, bits))


def _folded(same: list[DiffRow], *, first: bool, last: bool) -> list[DiffRow]:
    """`same` without the lines that are far from a change."""
    head, tail = 0 if first else AROUND, 0 if last else AROUND
    skipped = len(same) - head - tail
    if skipped < 2:
        return same
    kept_tail = same[len(same) - tail :] if tail else []
    return [*same[:head], DiffRow("skip", skipped=skipped), *kept_tail]


def _changed(
    left: Sequence[str], right: Sequence[str], at: tuple[range, range]
) -> Iterator[DiffRow]:
    olds, news = at
    for i, j in zip(olds, news, strict=False):
        old, new = _words(left[i], right[j])
        yield DiffRow("changed", Side(i + 1, old), Side(j + 1, new))
    for i in olds[len(news) :]:
        yield DiffRow("removed", Side(i + 1, (DiffPart(left[i], True),)))
    for j in news[len(olds) :]:
        yield DiffRow("added", None, Side(j + 1, (DiffPart(right[j], True),)))


def _words(old: str, new: str) -> tuple[tuple[DiffPart, ...], tuple[DiffPart, ...]]:
    left, right = _WORDS.findall(old), _WORDS.findall(new)
    olds, news = [], []
    for tag, i1, i2, j1, j2 in opcodes(left, right):
        changed = tag != "equal"
        olds.append(DiffPart("".join(left[i1:i2]), changed))
        news.append(DiffPart("".join(right[j1:j2]), changed))
    return _filled(olds), _filled(news)


def _filled(bits: list[DiffPart]) -> tuple[DiffPart, ...]:
    return tuple(bit for bit in bits if bit.text)


def _variable(one: dict[str, Any]) -> str:
    parts = [one.get("name", "")]
    if one.get("description"):
        parts.append(f"– {one['description']}")
    if one.get("default") is not None:
        parts.append(f"(default: {_json(one['default'])})")
    if one.get("schema"):
        parts.append(f"must match {_json(one['schema'])}")
    return " ".join(parts)


def _settings(version: PromptVersion) -> str:
    lines = [f"model: {version.model}"] if version.model else []
    values = sorted(version.parameters.items())
    return "\n".join([*lines, *(f"{name}: {_json(value)}" for name, value in values)])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
