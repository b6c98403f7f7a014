"""The provider's count of tokens, checked against what can be true."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llm.metering import usage_forms
from llm.metering.usage_forms import CREDIBLE as CREDIBLE
from llm.types import TokenUse

# A count of at least a token for so many bytes needs no closer look: words have four.
BYTES = 8
# Tokenizers that part words otherwise than we do are off by this much in short texts.
SLACK = 4
# An answer may pass its cap by a little: by the tokens that end it, say.
OVER_CAP = 1.05
# The mark of a row whose provider's parts and total disagree.
MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Own:
    """Our own count of a prompt or an answer, in tokens, and what bounds a true one.

    `least` looks closer, and is asked only for a count below `enough`.
    """

    count: int
    most: int
    enough: int
    least: Callable[[], int]


def billed_tokens(usage: Any, prompt: Own, completion: Own) -> TokenUse:
    """The tokens to bill: the provider's, or ours where it gave none or a false one.

    A larger count than can be true is billed up to what was reserved for it, and told
    in `claimed`, for it may be owed to the provider all the same.
    """
    answers = completion.most > 0
    completion = _capped(completion)
    if not isinstance(usage, dict):
        return TokenUse(
            prompt.count, completion.count, source="gateway", marks=("estimated",)
        )
    reported = usage_forms.parse(usage, answers=answers)
    first, true_prompt = _billed(reported.prompt, prompt)
    second, true_completion = _billed(reported.completion, completion)
    cached, written = (reported.cached, reported.written) if true_prompt else (0, 0)
    marks = () if reported.agrees else (MISMATCH,)
    if true_prompt and true_completion:
        return TokenUse(first, second, cached, marks=marks, written=written)
    claimed = (_claimed(reported.prompt, first), _claimed(reported.completion, second))
    return TokenUse(
        first,
        second,
        cached,
        source="gateway",
        marks=("suspect", *marks),
        claimed=None if claimed == (first, second) else claimed,
        written=written,
    )


def _capped(own: Own) -> Own:
    most = int(own.most * OVER_CAP) + 16
    return Own(min(own.count, most), most, min(own.enough, most), own.least)


def _billed(count: int | None, own: Own) -> tuple[int, bool]:
    """What to bill for the provider's count, and whether that may be true."""
    if count is None or count > CREDIBLE:
        return own.count, False
    if count > own.most:
        return max(own.most, own.count), False
    if count + SLACK < own.enough and count + SLACK < own.least():
        return max(own.count, count), False
    return count, True


def _claimed(count: int | None, billed: int) -> int:
    return billed if count is None or count > CREDIBLE else max(count, billed)
