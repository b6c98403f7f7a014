"""A provider's refusal of the caller's own request, as the caller sees it."""

import re

from llm.upstream import Failed
from valuecanvas.core.errors import GatewayError

MOST_MESSAGE = 2_000
MOST_WORD = 200
# No place of ours takes them all: PostgreSQL no NUL, a log line no escape sequences.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class PassedThrough(GatewayError):
    """The provider's 4xx with its own words."""

    type = "invalid_request_error"
    default_code = None

    def __init__(self, failed: Failed) -> None:
        error = failed.error or {}
        message = error.get("message")
        super().__init__(
            (_clean(message)[:MOST_MESSAGE] if message else "") or failed.message,
            param=_word(error.get("param")),
            code=_word(error.get("code")),
        )
        # A provider's 403 that is the caller's matter must not read as a bad key of ours.
        self.status = 400 if failed.status in (None, 403) else failed.status


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
