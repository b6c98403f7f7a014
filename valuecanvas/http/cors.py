"""CORS headers of the hot path; on the cold path django-cors-headers adds them."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from valuecanvas.http.paths import API

# New versions of SDKs add headers with these prefixes.
ALLOWED_PREFIXES = ("x-stainless-", "openai-", "x-valuecanvas-")


class CorsOptions:
    """Middleware of the cold path that answers OPTIONS at every path of the API.

    Views that require a key or render a page would refuse it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method == "OPTIONS" and API.match(request.path_info):
            return HttpResponse(status=204)
        return self._get_response(request)


def allow(origin: str, headers: dict[str, str], *, asked: str | None) -> None:
    """Let pages of `origin` read a response with `headers`, if settings list it.

    `asked` is the header Access-Control-Request-Headers; None: this is no preflight.
    """
    if origin not in settings.CORS_ALLOWED_ORIGINS:
        return
    headers["Access-Control-Allow-Origin"] = origin
    varies = headers.get("Vary")
    headers["Vary"] = f"{varies}, Origin" if varies else "Origin"
    headers["Access-Control-Expose-Headers"] = ", ".join(_exposed_headers(headers))
    if asked is not None:
        headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE, OPTIONS"
        headers["Access-Control-Allow-Headers"] = ", ".join(_allowed_headers(asked))
        headers["Access-Control-Max-Age"] = "600"


def _exposed_headers(headers: dict[str, str]) -> list[str]:
    """The documented headers, and all other `x-` headers of this response."""
    own = (name.lower() for name in headers if name.lower().startswith("x-"))
    return list(dict.fromkeys((*settings.CORS_EXPOSE_HEADERS, *own)))


def _allowed_headers(asked: str) -> list[str]:
    names = (name.strip().lower() for name in asked.split(","))
    more = (name for name in names if name.startswith(ALLOWED_PREFIXES))
    return list(dict.fromkeys((*settings.CORS_ALLOW_HEADERS, *more)))
