"""How a stream fails after its first content, and what its client is told then."""

import uuid
from typing import Any

from llm.providers.base import Verdict
from llm.providers.redaction import without_key
from llm.upstream.client_errors import words
from llm.upstream.http import Failed
from llm.upstream.stream import UpstreamStream

# Of what the provider says of its failure so many characters are passed on.
MOST_WORDS = 500
_STOPPED = {
    "server_shutdown": "This server is going down; please ask again.",
    "journal_unavailable": "The gateway cannot keep its journal now; ask again shortly.",
    "stream_interrupted": "The stream took longer than it may; the answer is incomplete.",
}
_BROKE_OFF = "The provider's stream broke off; the answer is incomplete."


def broken_off() -> Failed:
    return Failed(Verdict.FAILURE, "The provider's stream broke off.")


def stop_failure() -> Failed:
    return Failed(Verdict.CLIENT, "The server is going down.")


def stall_failure() -> Failed:
    return Failed(Verdict.FAILURE, "The provider's stream stalled.")


def describe(
    request_id: uuid.UUID, stopping: str, failure: Failed
) -> dict[str, str | None]:
    """The in-band error. `stopping` is the code where we end the stream ourselves."""
    message = _STOPPED.get(stopping, _BROKE_OFF)
    said = "" if stopping else words(failure.error or {}, MOST_WORDS)
    return {
        "message": f"{message} The provider says: {said}" if said else message,
        "type": "upstream_error",
        "param": None,
        "code": stopping or "stream_interrupted",
        "request_id": str(request_id),
    }


def event(flow: UpstreamStream, error: dict[str, Any]) -> bytes:
    """The error as an event; a provider's own, that is passed on, may quote our key."""
    out = flow.reader.failed(error).decode("utf-8", "replace")
    return without_key(out, flow.candidate.provider.api_key).encode()
