"""Turns a refusal by a minute limit into the caller's error."""

import math

from billing.budget_scopes import BudgetScope
from llm.limits.types import LimitKind, LimitRefused
from llm.replies.limit_headers import headers
from valuecanvas.core.errors import TooManyRequests

WHOSE = {one.letter: one.whose for one in BudgetScope} | {"f": "ratings"}


def error(
    refused: LimitRefused, prompt_tokens: int = 0, choices: int = 1
) -> TooManyRequests:
    """The 429, with its headers, for a request of such a prompt."""
    message = _message(refused)
    if refused.retry_after_s is None:
        message = _never(refused, (refused.limit - prompt_tokens) // choices)
    return TooManyRequests(message, headers=headers(refused))


def _never(refused: LimitRefused, cap: int) -> str:
    """The message if waiting cannot help. `cap` tokens of output would fit."""
    message = (
        f"This request can never pass: it may need more than all of the {refused.limit} "
        f"tokens a minute of {WHOSE[refused.subject.name[0]]}."
    )
    if cap > 0:
        return f"{message} A max_tokens of at most {cap} fits."
    return (
        f"{message} Its prompt alone counts for that many: send less of it at once (text, "
        "pictures, sound or files), or ask for a higher limit."
    )


def _message(refused: LimitRefused) -> str:
    whose, limit = WHOSE[refused.subject.name[0]], refused.limit
    wait = f"Try again in {max(1, math.ceil(refused.retry_after_s or 0))} s."
    if refused.kind is LimitKind.CONCURRENT:
        return f"The limit of {whose}, {limit} requests at once, is reached. {wait}"
    if whose == WHOSE["f"]:
        return f"At most {limit} {whose} a minute. {wait}"
    used = f"The {limit} {refused.kind} a minute of {whose} are used up"
    if refused.left:
        used = f"Too few of the {limit} tokens a minute of {whose} are left"
    return f"{used}. {wait}"
