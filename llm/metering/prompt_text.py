"""Finds the texts of a request that reach the model, and those that may."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import orjson

# The least tokens of a text: one a word, as no token holds two words, and one for so
# many bytes, if there are no blanks.
MOST_BYTES = 32
# Blanks that are not ASCII.
_WIDE_BLANKS = (
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
# Blanks stay blanks, and all else is one letter.
_LETTERS = bytes(
    32 if code < 128 and chr(code).isspace() else 120 for code in range(256)
)
_WORDS = ("messages", "input", "instructions")
_SCHEMAS = ("tools", "functions", "response_format", "text")


def least_tokens(texts: Iterable[str]) -> int:
    """The least tokens that `texts` can have."""
    # Megabytes are counted while other requests wait: a list of the words takes too long.
    joined = " ".join(texts)
    if not joined.isascii():
        for blank in _WIDE_BLANKS:
            joined = joined.replace(blank, " ")
    letters = joined.encode("ascii", "replace").translate(_LETTERS)
    words = letters.count(b" x") + letters.startswith(b"x")
    # Blanks are not counted: a token may hold any number of them.
    size = len(letters) - letters.count(b" ")
    return max(words, size // MOST_BYTES)


def texts(endpoint: str, body: dict[str, Any]) -> Iterator[str]:
    """The texts of a checked body that every provider shows to its model."""
    if endpoint == "embeddings":
        yield from _strings(body.get("input"))
        return
    if endpoint == "responses":
        yield from _strings(body.get("instructions"))
        yield from _strings(body.get("input"))
        for item in _items(body.get("input")):
            yield from _message(item)
            yield from _strings(item.get("output"))
            yield from _strings(item.get("arguments"))
    else:
        for item in _items(body.get("messages")):
            yield from _message(item)
    for name in _SCHEMAS:
        if body.get(name):
            yield orjson.dumps(body[name]).decode()


def _message(message: dict[str, Any]) -> Iterator[str]:
    content = message.get("content")
    yield from _strings(content)
    for part in _items(content):
        yield from _strings(part.get("text"))
    for call in _items(message.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict):
            yield from _strings(function.get("arguments"))


def _strings(value: Any) -> Iterator[str]:
    """`value` if it is a text, or the texts in it if it is a list."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (one for one in value if isinstance(one, str))


def _items(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))


def split_prompt(
    endpoint: str, body: dict[str, Any], left_out: Collection[str] = ()
) -> tuple[list[str], str]:
    """The texts of the body for the model, and the JSON around them.

    Without the texts in `left_out`, and without the numbers of an embedding's input,
    which are token ids.
    """
    found: list[str] = []
    skipped = {id(text) for text in left_out}
    ids = endpoint == "embeddings"

    def bare(value: Any) -> Any:
        if isinstance(value, str):
            if id(value) not in skipped:
                found.append(value)
            return ""
        if isinstance(value, list):
            return [bare(one) for one in value if not (ids and type(one) is int)]
        if isinstance(value, dict):
            return {name: bare(one) for name, one in value.items()}
        return value

    rest = {n: bare(value) if n in _WORDS else value for n, value in body.items()}
    return found, orjson.dumps(rest).decode()
