"""Renders errors of the cold path with the same body as those of the hot path."""

from typing import Any

import structlog
from django.core import exceptions as django_errors
from django.db import DataError
from django.http import Http404
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from valuecanvas.core.access.recent_login import StaleLogin
from valuecanvas.core.db import sqlstate
from valuecanvas.core.errors import (
    Conflict,
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    TooManyRequests,
    Unavailable,
    UnsupportedMedia,
)
from valuecanvas.core.ids import uuid7
from valuecanvas.core.telemetry import request_context

log = structlog.get_logger("api")

# DRF's status -> the error of our tree.
KINDS: dict[int, type[GatewayError]] = {
    400: InvalidRequest,
    401: NotAuthenticated,
    403: NotPermitted,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    415: UnsupportedMedia,
    429: TooManyRequests,
}
# Most characters of a message, and most faults of one request.
LONGEST, MOST_FAULTS = 500, 50
Fault = tuple[str, str]  # (where, what)
_WHOLE = ("non_field_errors", django_errors.NON_FIELD_ERRORS)


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's EXCEPTION_HANDLER."""
    set_rollback()
    done = request_context.current()
    request_id = done.ids.get("request_id") or str(uuid7())
    found = _translate(error, request_id)
    done.refuse(found)
    headers = {**found.headers, "x-request-id": request_id}
    if found.status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    return Response(found.body(request_id), found.status, headers=headers)


def invalid(faults: list[Fault]) -> InvalidRequest:
    """An error that lists all faults of a request; the first one is the message."""
    where, what = faults[0]
    return InvalidRequest(
        f"'{where}': {what}" if where else what,
        param=where or None,
        extra={
            "faults": [
                {"param": at, "message": text} for at, text in faults[:MOST_FAULTS]
            ]
        },
    )


def _translate(error: Exception, request_id: str) -> GatewayError:
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, drf.APIException):
        return _of_drf(error)
    if sqlstate.is_database_down(error):
        log.warning("request.database", error=type(error).__name__)
        return Unavailable(
            "The database cannot answer now; try again shortly.",
            headers={"Retry-After": "1"},
        )
    if (known := _of_django(error)) is not None:
        return known
    # The last one to catch it: no traceback may reach a client.
    log.error("request.crashed", exc_info=error)
    return GatewayError(f"Internal error: quote the request id {request_id}.")


def _of_django(error: Exception) -> GatewayError | None:
    if isinstance(error, django_errors.ValidationError):
        return invalid(_of_model(error))
    if isinstance(error, Http404):
        return NotFound("There is nothing here.")
    if isinstance(error, DataError):
        # For example a NUL in the path: no column can hold it.
        return InvalidRequest("A text in this request cannot be stored.")
    if isinstance(error, StaleLogin):
        return NotPermitted(str(error), code="recent_login_required")
    if isinstance(error, django_errors.PermissionDenied):
        return NotPermitted("You may not do this.")
    return None


def _of_drf(error: drf.APIException) -> GatewayError:
    if isinstance(error, drf.ValidationError):
        return invalid(_flatten(error.detail))
    if isinstance(error, drf.NotAuthenticated):
        return NotAuthenticated(
            "Send your API key in the header 'Authorization: Bearer KEY'.",
            code="missing_api_key",
        )
    wait = getattr(error, "wait", None)
    headers = {"Retry-After": str(int(wait))} if wait else {}
    kind = KINDS.get(error.status_code, GatewayError)
    found = kind(str(error.detail), headers=headers)
    if kind is GatewayError and error.status_code < 500:
        found.status, found.type = error.status_code, InvalidRequest.type
    return found


def _flatten(detail: Any, at: str = "") -> list[Fault]:
    """DRF's tree of errors as a flat list of ('variables.0.name', message)."""
    if isinstance(detail, dict):
        named = [
            (at if name in _WHOLE else f"{at}.{name}".strip("."), below)
            for name, below in detail.items()
        ]
        return [fault for where, below in named for fault in _flatten(below, where)]
    if isinstance(detail, list):
        nested = any(isinstance(below, dict | list) for below in detail)
        return [
            fault
            for number, below in enumerate(detail)
            for fault in _flatten(below, f"{at}.{number}".strip(".") if nested else at)
        ]
    return [(at[:LONGEST], _short(str(detail)))]


def _short(text: str) -> str:
    """Shorten a message: it may quote what was sent."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"


def _of_model(error: django_errors.ValidationError) -> list[Fault]:
    if hasattr(error, "error_dict"):
        return _flatten(error.message_dict)
    return [("", _short(text)) for text in error.messages]
