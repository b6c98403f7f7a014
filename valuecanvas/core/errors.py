"""The gateway's error classes, rendered as the OpenAI error body.

GatewayError                  500 api_error
├── InvalidRequest            400 invalid_request_error
│   ├── RequestTooLate        408
│   ├── BodyTooLarge          413
│   ├── UnsupportedMedia      415
│   ├── Unprocessable         422
│   └── HeadTooLarge          431
├── NotAuthenticated          401 authentication_error
├── NotPermitted              403 permission_error
├── NotFound                  404 invalid_request_error
├── MethodNotAllowed          405 invalid_request_error
├── Conflict                  409 conflict_error
├── TooManyRequests           429 rate_limit_error
│   ├── QuotaExceeded         429 insufficient_quota
│   └── BudgetExceeded        429 insufficient_quota, code budget_exceeded
├── UpstreamError             502 upstream_error
├── Unavailable               503 service_unavailable_error
│   └── LedgerUnavailable     503, code ledger_unavailable
└── UpstreamTimeout           504 upstream_error
"""

import datetime as dt
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from valuecanvas.core import money

USD = "usd"
# Of budgets in these scopes a caller sees no amounts: others spend there too.
SHARED = frozenset({"global", "model", "tag"})


# The codes of what is our fault or a provider's: answers with 5xx. A test holds them
# equal to the code's; alerts, targets and dashboards count by them.
SERVER_CODES = frozenset(
    {
        "abandoned",
        "internal_error",
        "journal_unavailable",
        "ledger_unavailable",
        "malformed_reply",
        "no_provider_available",
        "no_route",
        "overloaded",
        "prompt_broken",
        "server_shutdown",
        "service_unavailable",
        "stream_interrupted",
        "too_many_watchers",
        "upstream_error",
        "upstream_timeout",
    }
)


class LimitState(NamedTuple):
    """One limit that was looked at. Amounts in US dollars are micro-dollars.

    A tuple, as it is made for each refusal: a frozen dataclass takes four times as long.
    """

    # 'customer', 'key' and so on, as budgets have it, and whose it is.
    scope: str
    owner: str
    # As in 'requests_per_day'.
    name: str
    # 'requests', 'tokens', 'concurrent' or 'usd'.
    unit: str
    limit: int
    # None: not known.
    used: int | None = None
    # Of requests under way.
    held: int = 0
    resets_at: dt.datetime | None = None
    refused: bool = False

    def row(self) -> dict[str, Any]:
        """The state as the trace keeps it, with US dollars as numbers."""
        return {
            "scope": self.scope,
            "owner": self.owner,
            "name": self.name,
            "unit": self.unit,
            "used": self._amount(self.used),
            "held": self._amount(self.held),
            "limit": self._amount(self.limit),
            "resets_at": self.resets_at.isoformat() if self.resets_at else None,
            "refused": self.refused,
        }

    def _amount(self, value: int | None) -> float | int | None:
        return value / money.MICROS if value and self.unit == USD else value


def caller_view(row: dict[str, Any]) -> dict[str, Any]:
    """What a caller may know of a limit's `row`: `used` has what is held in it."""
    own = row["scope"] not in SHARED
    used = None if row["used"] is None else row["used"] + row["held"]
    return {
        "scope": row["scope"],
        "name": row["name"],
        "used": used if own else None,
        "limit": row["limit"] if own else None,
        "unit": row["unit"],
        "resets_at": row["resets_at"],
    }


@lru_cache(maxsize=1024)
def _told(limit: LimitState) -> dict[str, Any]:
    """What the caller is told of `limit`: kept, as a flood of refusals repeats it."""
    return caller_view(limit.row())


class GatewayError(Exception):
    """An error that a caller sees. `message` must be safe to show: no secrets.

    `limits` are those that were looked at, and where each stood; `max_tokens` is the
    highest cap that would have passed.
    """

    status = 500
    type = "api_error"
    default_code: str | None = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
        limits: tuple[LimitState, ...] = (),
        max_tokens: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.default_code
        self.headers = headers or {}
        self.extra = extra or {}
        self.limits = limits
        self.max_tokens = max_tokens
        # Whether a row tells of this refusal or failure already.
        self.recorded = False
        # Whether it is in the figures of refusals already.
        self.counted = False

    def body(self, request_id: str | None = None) -> dict[str, Any]:
        """The OpenAI error body; `error` always has its four keys."""
        error: dict[str, Any] = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
            **self.extra,
        }
        for limit in self.limits:
            if limit.refused:
                error["limit"] = dict(_told(limit))
        if request_id:
            error["request_id"] = request_id
        return {"error": error}

    def json(self, request_id: str | None = None) -> bytes:
        return orjson.dumps(self.body(request_id))


class InvalidRequest(GatewayError):
    status = 400
    type = "invalid_request_error"
    default_code = "invalid_request"


class BodyTooLarge(InvalidRequest):
    status = 413
    default_code = "request_too_large"


class UnsupportedMedia(InvalidRequest):
    status = 415
    default_code = "unsupported_media_type"


class Unprocessable(InvalidRequest):
    status = 422
    default_code = "unprocessable"


class RequestTooLate(InvalidRequest):
    status = 408
    default_code = "request_timeout"


class HeadTooLarge(InvalidRequest):
    status = 431
    default_code = "headers_too_large"


class NotAuthenticated(GatewayError):
    status = 401
    type = "authentication_error"
    default_code = "invalid_api_key"


class NotPermitted(GatewayError):
    status = 403
    type = "permission_error"
    default_code = "permission_denied"


def scope_frozen(scope: str, param: str | None = None) -> NotPermitted:
    """The refusal of a key whose issuer has lost the right for a scope."""
    return NotPermitted(
        f"This key's scope '{scope}' is frozen: its issuer may not give it any more. "
        "Have an operator with that right take the key over, on the key's page.",
        param=param,
        code="scope_frozen",
    )


class NotFound(GatewayError):
    status = 404
    type = "invalid_request_error"
    default_code = "not_found"


class MethodNotAllowed(GatewayError):
    status = 405
    type = "invalid_request_error"
    default_code = "method_not_allowed"


class Conflict(GatewayError):
    status = 409
    type = "conflict_error"
    default_code = "conflict"


class TooManyRequests(GatewayError):
    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class QuotaExceeded(TooManyRequests):
    type = "insufficient_quota"
    default_code = "insufficient_quota"


class BudgetExceeded(TooManyRequests):
    type = "insufficient_quota"
    default_code = "budget_exceeded"


class UpstreamError(GatewayError):
    status = 502
    type = "upstream_error"
    default_code = "upstream_error"


class Unavailable(GatewayError):
    status = 503
    type = "service_unavailable_error"
    default_code = "service_unavailable"


class LedgerUnavailable(Unavailable):
    """The ledger cannot be reached: requests are refused, since money never fails open."""

    default_code = "ledger_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "The gateway cannot reach its ledger now; try again shortly.",
            headers={"Retry-After": "1"},
        )


class UpstreamTimeout(GatewayError):
    status = 504
    type = "upstream_error"
    default_code = "upstream_timeout"
