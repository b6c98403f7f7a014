"""The demo provider's tokenizer, and the usage that it reports."""

import re
from collections.abc import Callable
from typing import Any

from valuecanvas.embedded.demo_provider.behaviours import Behaviour

# A word has one leading blank, as in the usual BPE vocabularies; very long words are
# several tokens.
_PIECE = re.compile(r"\s?[^\W_]{1,12}|\s?\S|\s+(?!\S)|\s")
_LIES: dict[str | None, Callable[[int], Any]] = {
    "negative": lambda count: -count,
    "huge": lambda _count: 10**12,
    "string": str,
    "low": lambda count: max(1, count // 1000),
}

Usage = dict[str, Any]


def split(text: str) -> list[str]:
    """The tokens of `text`, in order; `"".join(split(text)) == text` always."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """How many tokens `text` has."""
    return len(_PIECE.findall(text))


def usage_report(prompt: int, completion: int, behaviour: Behaviour) -> Usage | None:
    """The chat usage object, wrong if the behaviour says so; None: no usage."""
    if behaviour.lie == "absent":
        return None
    falsify = _LIES.get(behaviour.lie, int)
    first, second = falsify(prompt), falsify(completion)
    total = first + second if behaviour.lie != "string" else str(prompt + completion)
    return {
        "prompt_tokens": first,
        "completion_tokens": second,
        "total_tokens": total,
        "prompt_tokens_details": {
            "cached_tokens": min(behaviour.cached, prompt),
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
