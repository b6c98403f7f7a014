"""Access to metrics and health details: by a token, or by the client's address."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from valuecanvas.core.access import address
from valuecanvas.core.errors import NotAuthenticated, NotPermitted

# These headers show that a request came through a proxy: then the peer is not the client.
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")


def is_allowed(sent: Mapping[str, Any]) -> bool:
    """Whether METRICS_TOKEN was sent, or if none is set, the address is in METRICS_NETWORKS.

    `sent` is a WSGI environment, or a request's META.
    """
    if settings.METRICS_TOKEN:
        scheme, _, token = sent.get("HTTP_AUTHORIZATION", "").partition(" ")
        right = constant_time_compare(token.strip(), settings.METRICS_TOKEN)
        return scheme.lower() == "bearer" and right
    if not settings.TRUST_PROXY and any(name in sent for name in _FORWARDED):
        return False
    where = address.client(
        sent.get("REMOTE_ADDR", ""), sent.get("HTTP_X_FORWARDED_FOR", "")
    )
    return where is not None and any(where in one for one in settings.METRICS_NETWORKS)


def require(request: HttpRequest) -> None:
    """Raises NotAuthenticated, NotPermitted."""
    if is_allowed(request.META):
        return
    if settings.METRICS_TOKEN:
        raise NotAuthenticated(
            "Send METRICS_TOKEN as 'Authorization: Bearer'.", code="invalid_token"
        )
    raise NotPermitted(
        "Your address is not one of METRICS_NETWORKS: have an operator add it, "
        "or set METRICS_TOKEN.",
        code="address_not_allowed",
    )
