"""Django's error handlers: JSON for programs, a page for people."""

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt

from valuecanvas.core.errors import GatewayError, InvalidRequest
from valuecanvas.http import paths
from valuecanvas.http.paths import API


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler400: requests that Django refuses as suspicious."""
    if not API.match(request.path_info):
        return defaults.bad_request(request, exception)
    if isinstance(exception, DisallowedHost):
        return _answer(
            InvalidRequest(
                "This server does not answer to the name in the header 'Host': use one "
                "of its own, or have an operator add it to ALLOWED_HOSTS.",
                param="Host",
                code="unknown_host",
            )
        )
    return _answer(InvalidRequest("This request is not valid."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler404."""
    if not API.match(request.path_info):
        return defaults.page_not_found(request, exception)
    return unknown(request)


@csrf_exempt
def unknown(request: HttpRequest, **rest: str) -> HttpResponse:
    """The JSON 404 for all other paths under /api/."""
    return _answer(paths.unknown(request.path_info))


def _answer(error: GatewayError) -> HttpResponse:
    return HttpResponse(error.json(), "application/json", error.status)
