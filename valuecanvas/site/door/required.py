"""Keeps staff without a second factor on the pages where one is set up."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from valuecanvas.core.errors import NotPermitted
from valuecanvas.core.ids import uuid7
from valuecanvas.site.door.factors import needs_factor

# Nothing else is answered, whatever the URL.
OPEN = ("/admin/account/", "/admin/login/", "/admin/logout/", "/health/")
TEXT = "Set up a second factor first, on the page 'Your account'."


class SecondFactorRequired:
    """Middleware for ADMIN_MFA=required; it stands after the authentication."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(OPEN) or not needs_factor(request):
            return self._get_response(request)
        return _refuse(request)


def _refuse(request: HttpRequest) -> HttpResponse:
    page = request.method in ("GET", "HEAD") and request.accepts("text/html")
    if (
        page
        and request.path.startswith("/admin/")
        and "HX-Request" not in request.headers
    ):
        return redirect("mfa_index")
    error = NotPermitted(TEXT, code="second_factor_required")
    return JsonResponse(error.body(str(uuid7())), status=error.status)
