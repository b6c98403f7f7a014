"""Answers pages and management calls with 503 while the database is down."""

import sys
from collections.abc import Callable
from typing import TypeGuard

import structlog
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.defaults import server_error

from valuecanvas.core.db import sqlstate
from valuecanvas.core.errors import Unavailable

log = structlog.get_logger("database_away")
API_PREFIX = "/api/"
RETRY_AFTER_S = "1"


class DatabaseDown:
    """Middleware of the cold path; the hot path handles this itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        """Django calls it for exceptions of views and of their templates."""
        return _unavailable(request, exception) if _is_down(exception) else None


def handle_server_error(request: HttpRequest) -> HttpResponse:
    """handler500: all other exceptions, so those of Django's middleware (sessions)."""
    error = sys.exc_info()[1]
    return _unavailable(request, error) if _is_down(error) else server_error(request)


def _is_down(error: BaseException | None) -> TypeGuard[Exception]:
    return sqlstate.is_database_down(error)


def _unavailable(request: HttpRequest, error: Exception) -> HttpResponse:
    log.warning("database.away", error=type(error).__name__)
    if request.path.startswith(API_PREFIX):
        error_body = Unavailable("The database does not answer; try again shortly.")
        response = HttpResponse(error_body.json(), content_type="application/json")
    else:
        response = HttpResponse(render_to_string("503.html"))
    response.status_code = Unavailable.status
    response["Retry-After"] = RETRY_AFTER_S
    return response
