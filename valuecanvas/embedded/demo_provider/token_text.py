"""The demo provider's tokenizer, and the usage that it reports."""

import re
from typing import Any

# A word has one leading blank, as in the usual BPE vocabularies; very long words are
# several tokens.
_PIECE = re.compile(r"\s?[^\W_]{1,12}|\s?\S|\s+(?!\S)|\s")

Usage = dict[str, Any]


def split(text: str) -> list[str]:
    """The tokens of `text`, in order; `"".join(split(text)) == text` always."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """How many tokens `text` has."""
    return len(_PIECE.findall(text))


def usage_report(prompt: int, completion: int) -> Usage:
    """The chat usage object."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
