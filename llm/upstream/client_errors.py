"""Turns a provider's refusal of the request into the caller's error."""

import re
from typing import Any

from llm.upstream.http import Failed
from valuecanvas.core.errors import GatewayError

MOST_MESSAGE = 2_000
MOST_WORD = 200
# Statuses that mean the same from us. A 403 would look like a bad key of the caller's;
# an error with status 200 or 500 is the caller's by its message.
_OWN = frozenset(range(400, 500)) - {401, 402, 403, 408, 429}
# PostgreSQL refuses NUL, and log lines must have no escape sequences.
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
    """The provider's own message, at most `most` characters."""
    return _clean(error.get("message") or "").strip()[:most]


def _word(value: object) -> str | None:
    """A short text of the provider's, safe for a column and a log line; None: none."""
    if not isinstance(value, str):
        return None
    return _clean(value).replace("\n", " ").replace("\t", " ")[:MOST_WORD] or None


def _clean(value: object) -> str:
    return _CONTROL.sub("", str(value))


def passed_through(failed: Failed) -> GatewayError:
    """The caller's error for a verdict of CLIENT."""
    return PassedThrough(failed)
