"""Finds a model's reasoning in chat messages and deltas, under each provider's name."""

import re
from collections.abc import Iterator
from typing import Any

_NAMED = re.compile("reasoning|thinking|thought")
# The members with the text, in the blocks of some providers.
_PARTS = ("text", "thinking", "reasoning", "summary", "content")


def is_reasoning(name: str) -> bool:
    """Whether a member of this name holds reasoning."""
    return _NAMED.search(name) is not None


def reasoning_text(message: dict[str, Any]) -> str:
    """The reasoning in a message or delta; '' for none that can be read.

    Some providers send it under two names, so the longest counts.
    """
    texts = ("".join(_texts(value)) for name, value in message.items()
             if value and is_reasoning(name))  # fmt: skip
    return max(texts, key=len, default="")


def _texts(value: Any) -> Iterator[str]:
    """The texts in it, without what is encrypted or signed."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for name in _PARTS:
            yield from _texts(value.get(name))
