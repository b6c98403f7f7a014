"""A provider's refusal of the caller's own request, as the caller sees it."""

from llm.upstream import Failed
from valuecanvas.core.errors import GatewayError

MOST_MESSAGE = 2_000


class PassedThrough(GatewayError):
    """The provider's 4xx with its own words."""

    type = "invalid_request_error"
    default_code = None

    def __init__(self, failed: Failed) -> None:
        error = failed.error or {}
        message = error.get("message")
        super().__init__(
            str(message)[:MOST_MESSAGE] if message else failed.message,
            param=_text(error.get("param")),
            code=_text(error.get("code")),
        )
        # A provider's 403 that is the caller's matter must not read as a bad key of ours.
        self.status = 400 if failed.status in (None, 403) else failed.status


def _text(value: object) -> str | None:
    return value[:200] if isinstance(value, str) else None


def passed_through(failed: Failed) -> GatewayError:
    """The caller's error for a verdict of CLIENT."""
    return PassedThrough(failed)
