"""Django's handlers of what reaches no view: JSON for programs, a page for people."""

import re

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views import defaults

from valuecanvas.core.errors import GatewayError, InvalidRequest, NotFound

# Where programs ask. Of '//v1/chat' the base URL had a slash at its end.
API = re.compile(r"/+(?:v1|api|ofrep|health|metrics)(?:/|\Z)")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler400: what Django itself takes for suspicious."""
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
    return _answer(InvalidRequest("This request cannot be served as it is."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler404."""
    path = request.path_info
    if not API.match(path):
        return defaults.page_not_found(request, exception)
    why = " It begins with '//': see the base URL." if path.startswith("//") else ""
    return _answer(
        NotFound(f"There is nothing at this path.{why}", code="unknown_path")
    )


def _answer(error: GatewayError) -> HttpResponse:
    return HttpResponse(error.json(), "application/json", error.status)
