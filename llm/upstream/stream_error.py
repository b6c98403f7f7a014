"""Errors of a stream that fails after its first content."""

import uuid
from typing import Any

from llm.providers.base import Verdict
from llm.providers.redaction import without_key
from llm.upstream.client_errors import words
from llm.upstream.http import Failed
from llm.upstream.stream import UpstreamStream

# So much of the provider's own message is passed on, in characters.
MOST_WORDS = 500
_STOPPED = {
    "server_shutdown": "This server is shutting down; try again.",
    "journal_unavailable": "The gateway cannot write its journal now; try again shortly.",
    "stream_interrupted": "The stream took longer than it may; the answer is incomplete.",
}
_BROKE_OFF = "The provider's stream broke off; the answer is incomplete."


def broken_off() -> Failed:
    return Failed(Verdict.FAILURE, "The provider's stream broke off.")


def stop_failure() -> Failed:
    return Failed(Verdict.CLIENT, "The server is shutting down.")


def stall_failure() -> Failed:
    return Failed(Verdict.FAILURE, "The provider's stream stalled.")


def describe(
    request_id: uuid.UUID, stop_code: str, failure: Failed
) -> dict[str, str | None]:
    """The in-band error. `stop_code` is set if we end the stream ourselves."""
    message = _STOPPED.get(stop_code, _BROKE_OFF)
    if failure.injected_by:
        message += f" The chaos experiment '{failure.injected_by}' caused this."
    detail = "" if stop_code else words(failure.error or {}, MOST_WORDS)
    return {
        "message": f"{message} The provider says: {detail}" if detail else message,
        "type": "upstream_error",
        "param": None,
        "code": stop_code or "stream_interrupted",
        "request_id": str(request_id),
    }


def event(upstream: UpstreamStream, error: dict[str, Any]) -> bytes:
    """The error as an event, without our key: a provider's message may quote it."""
    out = upstream.reader.error_event(error).decode("utf-8", "replace")
    return without_key(out, upstream.candidate.provider.api_key).encode()
