"""A refusal by a minute limit, as the error that the caller sees."""

import math

from llm.limits.headers import headers
from llm.limits.types import Kind, Refused
from valuecanvas.core.errors import TooManyRequests

WHOSE = {"c": "this user", "k": "this API key", "f": "ratings"}


def error(refused: Refused) -> TooManyRequests:
    """The 429, with its headers."""
    return TooManyRequests(_message(refused), headers=headers(refused))


def _message(refused: Refused) -> str:
    whose, limit = WHOSE[refused.subject.name[0]], refused.limit
    if refused.retry_after_s is None:
        return (
            f"This request may need more than all of the {limit} tokens a minute of "
            f"{whose}. A smaller max_tokens may fit."
        )
    wait = f"Try again in {max(1, math.ceil(refused.retry_after_s))} s."
    if refused.kind is Kind.CONCURRENT:
        return f"The most requests of {whose} at once, {limit}, are under way. {wait}"
    if whose == WHOSE["f"]:
        return f"At most {limit} {whose} a minute. {wait}"
    used = f"The {limit} {refused.kind} a minute of {whose} are used up"
    if refused.left:
        used = f"Of the {limit} tokens a minute of {whose} too few are left"
    return f"{used}. {wait}"
