"""Headers that tell a browser what it may do with an answer of the cold path."""

from collections.abc import Callable
from functools import lru_cache

from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest, HttpResponse

# Features that no page uses. The clipboard is used: keys are copied.
UNUSED = ("camera", "display-capture", "geolocation", "microphone", "midi", "payment",
          "serial", "usb")  # fmt: skip


class PageHeaders:
    """Middleware of the cold path. It comes first: errors of the others get them too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        for name, value in find_headers(request.path_info).items():
            response.headers.setdefault(name, value)
        return response


def find_headers(path: str) -> dict[str, str]:
    """The headers of an answer at `path`. It may set others for itself."""
    prefixes = (one for one in settings.CSP_AT_PREFIX if path.startswith(one))
    return _headers(next(prefixes, ""))


@lru_cache(maxsize=8)
def _headers(prefix: str) -> dict[str, str]:
    found = {
        "Content-Security-Policy": build_policy(
            replace=settings.CSP_AT_PREFIX.get(prefix)
        ),
        # An answer may hold a customer's data; static files have a header of their own.
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": ", ".join(f"{name}=()" for name in UNUSED),
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": settings.X_FRAME_OPTIONS,
    }
    if settings.SECURE_HSTS_SECONDS:
        # Browsers ignore it on plain HTTP.
        found["Strict-Transport-Security"] = (
            f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
        )
    return found
