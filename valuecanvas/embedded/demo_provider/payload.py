"""What is to be sent: one JSON body, a stream of framed events, or an error."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

JSON = {"Content-Type": "application/json"}
# One event, ready for the socket, and the completion tokens it carries.
Frame = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Whole:
    """A JSON body with all its tokens."""

    body: bytes
    tokens: int
    usage: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Stream:
    """Server-sent events: `lead` frames without content, `content` frames, the rest.

    `half` is a frame with a broken JSON line; `error` is an in-band error.
    """

    frames: Iterable[Frame]
    lead: int
    content: int
    half: bytes
    error: bytes
    usage: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request, with what the server needs to keep count."""

    model: str
    prompt_tokens: int
    payload: Whole | Stream


def framed(event: bytes) -> bytes:
    """`event` as one HTTP chunk, so that it can go to the socket as it is."""
    return b"%x\r\n%b\r\n" % (len(event), event)


def sse(data: bytes, *, name: bytes = b"") -> bytes:
    """`data` as a framed server-sent event."""
    line = b"event: %b\n" % name if name else b""
    return framed(b"%bdata: %b\n\n" % (line, data))


DONE = sse(b"[DONE]")

# `type`, `code` and message of an error, by HTTP status, as OpenAI has them.
_REFUSED = "invalid_request_error"
_ERRORS: dict[int, tuple[str, str | None, str]] = {
    401: (_REFUSED, "invalid_api_key", "Incorrect API key provided."),
    402: ("insufficient_quota", "insufficient_quota", "The spending limit is reached."),
    403: (
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported.",
    ),
    404: (_REFUSED, "model_not_found", "The model does not exist."),
    408: ("timeout_error", "request_timeout", "The request timed out."),
    409: ("conflict_error", "conflict", "The resource was changed meanwhile."),
    413: (_REFUSED, "request_too_large", "The request is too large."),
    429: ("rate_limit_error", "rate_limit_exceeded", "Rate limit reached."),
    503: ("service_unavailable_error", "server_is_overloaded", "It is overloaded."),
    529: ("overloaded_error", "overloaded", "Overloaded."),
}
_CLIENT = (_REFUSED, None, "The request was refused.")
_SERVER = (
    "server_error",
    None,
    "The server had an error while processing your request.",
)


def error_body(
    status: int,
    *,
    message: str | None = None,
    code: str | None = None,
    param: str | None = None,
) -> bytes:
    """The JSON error body fitting `status`; given parts replace the usual ones."""
    kind, usual_code, text = _ERRORS.get(status, _SERVER if status >= 500 else _CLIENT)
    error = {
        "message": message or f"{text} (demo provider)",
        # Billing is the one case where OpenAI's `type` follows the code.
        "type": code if code == "insufficient_quota" else kind,
        "param": param,
        "code": code or usual_code,
    }
    return orjson.dumps({"error": error})


class RequestRefused(ValueError):
    """The demo provider itself refuses a request; rendered as the OpenAI body."""

    def __init__(
        self, message: str, *, status: int = 400, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(status, message=message, param=param)
