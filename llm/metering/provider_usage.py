"""Checks the provider's token counts against bounds of our own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llm.metering import usage_forms
from llm.metering.usage_forms import CREDIBLE as CREDIBLE
from llm.types import TokenUse

# A count of a token for so many bytes or more is accepted: words have about four.
BYTES = 8
# Tokenizers that split words differently are off by this much in short texts.
SLACK = 4
# An answer may pass its cap a little, for example by the tokens that end it.
OVER_CAP = 1.05
# The mark of a row whose provider's parts and total disagree.
MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Own:
    """Our own count of a prompt or an answer, in tokens, and bounds for a true one.

    `least` is exact and slow: it is called only for a count below `enough`.
    """

    count: int
    most: int
    enough: int
    least: Callable[[], int]


def billed_tokens(usage: Any, prompt: Own, completion: Own) -> TokenUse:
    """The tokens to bill: the provider's count, or ours if that is missing or false.

    A count that is too large is billed up to what was reserved, and kept in `claimed`,
    as the provider may bill it.
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
    """The count to bill, and whether the provider's count may be true."""
    if count is None or count > CREDIBLE:
        return own.count, False
    if count > own.most:
        return max(own.most, own.count), False
    if count + SLACK < own.enough and count + SLACK < own.least():
        return max(own.count, count), False
    return count, True


def _claimed(count: int | None, billed: int) -> int:
    return billed if count is None or count > CREDIBLE else max(count, billed)
