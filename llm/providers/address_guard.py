"""Which URLs providers may have, and for which a key is."""

from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

from valuecanvas.core.access.url_guard import UrlGuard, port_of

PORTS = {"http": 80, "https": 443}
GUARD = UrlGuard("LLM_ALLOW_HTTP_PROVIDERS")


def origin(url: str) -> str:
    """The scheme, host and port: a key is only for these."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = port_of(parts) or PORTS.get(parts.scheme, 0)
    return f"{parts.scheme}://{host}:{port}"


def check_url(url: str) -> None:
    """Raises ValidationError for a URL that no provider may have."""
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise ValidationError("Leave out everything after the path.")
    GUARD.check_url(url)
