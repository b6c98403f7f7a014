"""Error bodies as OpenAI writes them, by HTTP status."""

from __future__ import annotations

from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """What goes into `type`, `code` and `message` of one status."""

    type: str
    code: str | None
    message: str


_KINDS = {
    400: ErrorKind("invalid_request_error", None, "The request is not valid."),
    401: ErrorKind(
        "invalid_request_error", "invalid_api_key", "Incorrect API key provided."
    ),
    402: ErrorKind(
        "insufficient_quota", "insufficient_quota", "The spending limit is reached."
    ),
    403: ErrorKind(
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported.",
    ),
    404: ErrorKind(
        "invalid_request_error", "model_not_found", "The model does not exist."
    ),
    408: ErrorKind("timeout_error", "request_timeout", "The request timed out."),
    409: ErrorKind("conflict_error", "conflict", "The resource was changed meanwhile."),
    413: ErrorKind(
        "invalid_request_error", "request_too_large", "The request is too large."
    ),
    422: ErrorKind(
        "invalid_request_error", None, "The request could not be processed."
    ),
    429: ErrorKind(
        "rate_limit_error", "rate_limit_exceeded", "Rate limit reached for requests."
    ),
    503: ErrorKind(
        "service_unavailable_error",
        "server_is_overloaded",
        "The engine is currently overloaded.",
    ),
    529: ErrorKind("overloaded_error", "overloaded", "Overloaded."),
}
_CLIENT = ErrorKind("invalid_request_error", None, "The request was refused.")
_SERVER = ErrorKind(
    "server_error", None, "The server had an error while processing your request."
)


def error_body(
    status: int,
    *,
    message: str | None = None,
    code: str | None = None,
    param: str | None = None,
) -> bytes:
    """The JSON error body fitting `status`; given parts replace the usual ones."""
    kind = _KINDS.get(status, _SERVER if status >= 500 else _CLIENT)
    # Billing is the one case where OpenAI's `type` follows the code.
    kind_type = code if code == "insufficient_quota" else kind.type
    error = {
        "message": message or f"{kind.message} (demo provider)",
        "type": kind_type,
        "param": param,
        "code": code or kind.code,
    }
    return orjson.dumps({"error": error})


class RequestRefused(Exception):
    """The demo provider itself refuses a request; rendered as the OpenAI body."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(status, message=message, param=param)
