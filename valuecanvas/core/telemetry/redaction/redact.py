"""Finds personal data and secrets in texts and in nested values, within bounds."""

import datetime as dt
import uuid
from collections.abc import Mapping, MutableMapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import re2

from valuecanvas.core.telemetry.redaction.patterns import (
    PATTERNS,
    SECRET_NAME,
    Pattern,
)

# Of a longer text the rest is left out.
MOST_CHARS = 32_768
# After more candidates of one kind the rest of a text is left out.
MOST_CANDIDATES = 200
# At the cut, at most so many characters are left out to cut nothing in two.
MOST_WORD = 1_024
MOST_DEPTH = 6
MOST_ITEMS = 200
# These hold neither names nor secrets, or are ids of ours.
PLAIN = (int, float, type(None), uuid.UUID, dt.date, dt.timedelta, Decimal)
_PLAIN_TYPES = frozenset((*PLAIN, str, bool, dt.datetime))
# Fields that no event has; those of nested values are found by SECRET_NAME.
_SECRET_FIELDS = frozenset(("password", "secret", "token", "authorization", "cookie"))
_COMPILED = tuple((pattern, pattern.compile()) for pattern in PATTERNS)


def _search_all() -> Any:
    """One pass that tells whether any of them may match."""
    found = re2.Set.SearchSet()
    for pattern in PATTERNS:
        found.Add(pattern.expression.encode())
    found.Compile()
    return found


_ANY = _search_all()


def redact(text: str) -> str:
    """`text` with e.g. '[email]' in place of personal data and secrets, at most 32 KB."""
    if len(text) > MOST_CHARS:
        text = _shorten(text)
    encoded = _encode(text)
    if not _may_match(encoded):
        return text
    for pattern, compiled in _COMPILED:
        encoded = _replace(pattern, compiled, encoded)
    return encoded.decode("utf-8", "surrogatepass")


def redact_value(value: object, depth: int = 0) -> Any:
    """The same for what is nested in mappings and lists; other objects become texts."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, PLAIN):
        return value
    if depth >= MOST_DEPTH:
        return "[nested too deeply]"
    if isinstance(value, Mapping):
        items = list(value.items())[:MOST_ITEMS]
        return {redact(str(key)): _named(key, one, depth) for key, one in items}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(one, depth + 1) for one in list(value)[:MOST_ITEMS]]
    if isinstance(value, bytes):
        return redact(value.decode("utf-8", "replace"))
    return redact(str(value))


def redact_event(event: MutableMapping[str, Any]) -> None:
    """Redact the fields of a log event in place; a clean one costs microseconds."""
    texts = [value for value in event.values() if type(value) is str]
    joined = "\n".join(texts)
    if (
        not _PLAIN_TYPES.issuperset(map(type, event.values()))
        or not _SECRET_FIELDS.isdisjoint(event)
        or len(joined) > MOST_CHARS
        or _may_match(_encode(joined))
    ):
        for key in list(event):
            event[key] = _named(key, event[key], 0)


def _named(name: object, value: object, depth: int) -> Any:
    """The value of a field: none of a secret's is shown."""
    if isinstance(value, str | bytes) and _is_secret_name(str(name)):
        return "[secret]"
    return redact_value(value, depth + 1)


@lru_cache(maxsize=1024)
def _is_secret_name(name: str) -> bool:
    return SECRET_NAME.search(_encode(name[:200])) is not None


def _shorten(text: str) -> str:
    """The start of a text, up to the last space so that nothing is cut in two."""
    kept = text[:MOST_CHARS]
    words = kept.rsplit(maxsplit=1)
    if len(words) == 2 and len(words[1]) < MOST_WORD:
        kept = words[0]
    return f"{kept} [{len(text) - len(kept)} more characters]"


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _may_match(encoded: bytes) -> bool:
    return _ANY.Match(encoded) is not None


def _replace(pattern: Pattern, compiled: Any, text: bytes) -> bytes:
    """`text` without what matches and passes the check."""
    parts: list[bytes] = []
    copied = at = 0
    for _ in range(MOST_CANDIDATES):
        match = compiled.search(text, at)
        if match is None:
            return b"".join([*parts, text[copied:]])
        if _is_one(pattern, match, text):
            start, at = match.span(compiled.groups)
            parts += [text[copied:start], f"[{pattern.kind}]".encode()]
            copied = at
        else:
            # What follows its first character may be one, such as after other digits.
            at = match.start() + 1
    return b"".join([*parts, f"[{len(text) - copied} more bytes]".encode()])


def _is_one(pattern: Pattern, match: Any, text: bytes) -> bool:
    start, end = match.span()
    if pattern.not_after and _is_part(pattern.not_after, text, start, end):
        return False
    return pattern.check is None or pattern.check(
        text[start:end].decode("utf-8", "replace")
    )


def _is_part(not_after: bytes, text: bytes, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 2]
    if before and before in not_after:
        return True
    return after[:1] in (b"-", b".") and after[1:].isdigit()
