"""Error bodies as OpenAI writes them, by HTTP status."""

import orjson

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
_SERVER = ("server_error", None, "The server had an error.")


def error_body(
    status: int,
    *,
    message: str | None = None,
    param: str | None = None,
) -> bytes:
    """The JSON error body for `status`; arguments replace the usual parts."""
    kind, code, text = _ERRORS.get(status, _SERVER if status >= 500 else _CLIENT)
    error = {
        "message": message or f"{text} (demo provider)",
        "type": kind,
        "param": param,
        "code": code,
    }
    return orjson.dumps({"error": error})


class RequestRefused(ValueError):
    """The demo provider refuses a request; rendered as the OpenAI error body."""

    status = 400

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.body = error_body(self.status, message=message, param=param)
