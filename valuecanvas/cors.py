"""Cross-origin headers of the hot path; elsewhere django-cors-headers adds them."""

from django.conf import settings
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

EXPOSED = ", ".join(
    (
        "x-request-id",
        "x-valuecanvas-provider",
        "x-valuecanvas-cost-usd",
        "x-valuecanvas-epoch",
        "retry-after",
        "etag",
    )
)
ALLOWED = ", ".join(
    (
        "authorization",
        "content-type",
        "idempotency-key",
        "if-none-match",
        "x-valuecanvas-cache-ttl",
        "x-valuecanvas-context",
    )
)


def allow(origin: str, response: HttpResponseBase, *, preflight: bool) -> None:
    """Let pages of `origin` read `response`, if an operator allowed that origin."""
    if origin not in settings.CORS_ALLOWED_ORIGINS:
        return
    response["Access-Control-Allow-Origin"] = origin
    # What the answer varies by already, stays.
    patch_vary_headers(response, ("Origin",))
    response["Access-Control-Expose-Headers"] = EXPOSED
    if preflight:
        response["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
        response["Access-Control-Allow-Headers"] = ALLOWED
        response["Access-Control-Max-Age"] = "600"
