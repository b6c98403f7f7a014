"""A provider's refusal of the caller's own request, as the caller sees it."""

import re
from typing import Any

from llm.upstream.http import Failed
from valuecanvas.core.errors import GatewayError

MOST_MESSAGE = 2_000
MOST_WORD = 200
# No place of ours takes them all: PostgreSQL no NUL, a log line no escape sequences.
# Statuses that mean the same from us. A 403 would read as a bad key of the caller's, and
# an error under 200 or 500 is the caller's by its words.
_OWN = frozenset(range(400, 500)) - {401, 402, 403, 408, 429}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class PassedThrough(GatewayError):
    """The provider's 4xx with its own words."""

    type = "invalid_request_error"
    default_code = None

    def __init__(self, failed: Failed) -> None:
        error = failed.error or {}
        super().__init__(
            words(error, MOST_MESSAGE) or failed.message,
            param=_word(error.get("param")),
            code=_word(error.get("code")),
        )
        self.status = failed.status if failed.status and failed.status in _OWN else 400


def words(error: dict[str, Any], most: int) -> str:
    """What the provider says in its own words; '': nothing."""
    return _clean(error.get("message") or "").strip()[:most]


def _word(value: object) -> str | None:
    """A word of the provider's, fit for a column and a line; None: it has none."""
    if not isinstance(value, str):
        return None
    return _clean(value).replace("\n", " ").replace("\t", " ")[:MOST_WORD] or None


def _clean(value: object) -> str:
    return _CONTROL.sub("", str(value))


def passed_through(failed: Failed) -> GatewayError:
    """The caller's error for a verdict of CLIENT."""
    return PassedThrough(failed)
