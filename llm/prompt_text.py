"""What of a request's body is sure to reach the model as text, and what as a picture."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

# Texts of many words or bytes have at least so many tokens: one a word, as no token
# holds two of them, and one for so many bytes, where nothing parts the words.
MOST_BYTES = 32
_SCHEMAS = ("tools", "functions", "response_format", "text")


def least_tokens(texts: Iterable[str]) -> int:
    """Tokens that `texts` have at the very least."""
    words = size = 0
    for text in texts:
        words += len(text.split())
        size += len(text)
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
    """`value`, if it is a text, or the texts in the list that it is."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (one for one in value if isinstance(one, str))


def _items(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))


def picture_bytes(endpoint: str, body: dict[str, Any]) -> int:
    """The bytes of the pictures that the body holds itself, as data URLs.

    Only where a picture belongs: elsewhere the same words are text.
    """
    listed = body.get("input" if endpoint == "responses" else "messages")
    size = 0
    for item in _items(listed):
        for name in ("content", "output"):
            for part in _items(item.get(name)):
                size += _data_size(part)
    return size


def _data_size(part: dict[str, Any]) -> int:
    url = part.get("image_url")
    if part.get("type") == "image_url":
        url = url.get("url") if isinstance(url, dict) else None
    elif part.get("type") != "input_image":
        return 0
    if isinstance(url, str) and url.startswith("data:image/"):
        return len(url)
    return 0
