"""Keeps the input of a form that is sent after the session, the CSRF token or the last
proof of identity expired."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.http import urlencode

from valuecanvas.core.access.recent_login import StaleLogin

TOKEN = "csrfmiddlewaretoken"  # noqa: S105 (the name of a field)
# Never sent back to a page.
SECRET = re.compile(r"password|secret|token|api_key", re.IGNORECASE)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW."""
    return _page(request, signed_in=_signed_in(request))


def keep_typed(view: Callable[..., HttpResponseBase]) -> Callable[..., Any]:
    """Wrap an admin view: a POST without a session gets its input back, no redirect.

    The same where the view wants a recent log-in; a GET is led to re-authentication.
    """

    @wraps(view)
    def kept(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        typed = request.method == "POST" and set(request.POST) - {TOKEN}
        if not typed or _signed_in(request) or "HX-Request" in request.headers:
            try:
                return view(request, *args, **kwargs)
            except StaleLogin as error:
                return _confirm_identity(request, error)
        return _page(request, signed_in=False)

    return kept


def _confirm_identity(request: HttpRequest, error: StaleLogin) -> HttpResponse:
    if "HX-Request" in request.headers or not request.accepts("text/html"):
        return HttpResponse(str(error), status=403, content_type="text/plain")
    if request.method in ("GET", "HEAD"):
        query = urlencode({"next": request.get_full_path()})
        return redirect(f"{reverse('account_reauthenticate')}?{query}")
    return _page(request, signed_in=True, stale=True)


def _signed_in(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and user.is_active and user.is_staff


def _page(
    request: HttpRequest, *, signed_in: bool, stale: bool = False
) -> HttpResponse:
    typed = [
        (name, value)
        for name, values in request.POST.lists()
        if name != TOKEN and not SECRET.search(name)
        for value in values
    ]
    login = reverse("admin:login")
    # A form of another site must not be sent again from our page.
    ours = _same_origin(request) and request.path != login
    context = {
        "typed": typed if ours else [],
        "seen": [(name, value) for name, value in typed if value] if ours else [],
        "again": sorted(
            one for one in request.POST if one != TOKEN and SECRET.search(one)
        ),
        "signed_in": signed_in,
        "stale": stale,
        "login": login,
        "action": request.get_full_path(),
    }
    answer = render(request, "lost_form.html", context, status=403)
    add_never_cache_headers(answer)
    return answer


def _same_origin(request: HttpRequest) -> bool:
    """Whether the browser says that the request comes from our own site."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("Origin") == f"{request.scheme}://{request.get_host()}"
