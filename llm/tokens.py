"""Counts of tokens: bounds before a call, our own count after it.

No tokenizer runs on the hot path. Three UTF-8 bytes a token, plus a tenth, bounds
English, code and most scripts from above; after the call the provider's count stands
unless it cannot be true.
"""

from collections.abc import Iterable
from typing import Any

import orjson

# What a picture may come to at most, whatever its size in base64.
PICTURE_TOKENS = 2_000
MESSAGE_TOKENS = 8


def of_bytes(size: int) -> int:
    """An upper estimate of the tokens in `size` bytes of text: size / 3 x 1.1."""
    return (size * 11 + 29) // 30


def message_sizes(messages: Iterable[Any]) -> tuple[int, int]:
    """(bytes of text, tokens of pictures and framing) in chat messages."""
    size = extra = 0
    for message in messages:
        extra += MESSAGE_TOKENS
        content = message.get("content")
        if isinstance(content, str):
            size += len(content.encode("utf-8", "replace"))
        elif isinstance(content, list):
            for part in content:
                part_size, part_extra = _part_size(part)
                size += part_size
                extra += part_extra
        if "tool_calls" in message:
            size += len(orjson.dumps(message["tool_calls"]))
    return size, extra


def _part_size(part: Any) -> tuple[int, int]:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return len(part["text"].encode("utf-8", "replace")), 0
    if isinstance(part, dict) and str(part.get("type", "")).endswith(
        ("image_url", "input_image")
    ):
        return 0, PICTURE_TOKENS
    return len(orjson.dumps(part)), 0


def delivered(size: int, pieces: int) -> int:
    """Our count of `size` bytes that came in `pieces` stream events.

    Providers send about one token an event; where events are larger than a token can
    be, four bytes make one.
    """
    if pieces and size <= 8 * pieces:
        return pieces
    return (size + 3) // 4
