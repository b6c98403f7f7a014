"""Pages and management calls while the database does not answer: 503, no traceback."""

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


class DatabaseAway:
    """Middleware. The hot path has its own answer to this, without Django's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        """Django calls it for what a view, or the rendering of its page, raises."""
        return _said(request, exception) if _is_away(exception) else None


def handle_server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler of all other errors, so of those in its middleware: sessions."""
    error = sys.exc_info()[1]
    return _said(request, error) if _is_away(error) else server_error(request)


def _is_away(error: BaseException | None) -> TypeGuard[Exception]:
    return sqlstate.database_away(error)


def _said(request: HttpRequest, error: Exception) -> HttpResponse:
    log.warning("database.away", error=type(error).__name__)
    if request.path.startswith(API_PREFIX):
        away = Unavailable("The database does not answer; try again shortly.")
        response = HttpResponse(away.json(), content_type="application/json")
    else:
        response = HttpResponse(render_to_string("503.html"))
    response.status_code = Unavailable.status
    response["Retry-After"] = RETRY_AFTER_S
    return response
