"""The demo provider's tokenizer: pieces that join back to the exact text."""

import re

# A word keeps one leading blank, as in the usual BPE vocabularies; very long words
# are cut so that a wall of letters isn't one cheap token.
_PIECE = re.compile(r"\s?[^\W_]{1,12}|\s?\S|\s+(?!\S)|\s")


def split(text: str) -> list[str]:
    """The tokens of `text`, in order; `"".join(split(text)) == text` always."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """How many tokens `text` has."""
    return len(_PIECE.findall(text))
