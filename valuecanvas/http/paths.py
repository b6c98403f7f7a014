"""Corrects common mistakes in request paths, and explains unknown paths."""

import difflib
import re
from functools import lru_cache

from django.urls import URLPattern, URLResolver, get_resolver

from valuecanvas.core.errors import NotFound

# Paths of the API; only these are corrected.
API = re.compile(r"/+(?:v1|api|ofrep|health|metrics)(?:/|\Z)")
# Paths of SDKs whose base URL lacks /v1.
_WITHOUT_V1 = re.compile(
    r"/+(?:chat/+completions|completions|embeddings|responses|models|feedback|files"
    r"|batches)(?:/|\Z)"
)
# Nothing to mend: one look at nearly all that programs ask.
_USUAL = re.compile(r"/(?:v1|api|ofrep)(?:/(?!v1(?:/|\Z))[^/]+)+")
_SLASHES = re.compile(r"/{2,}")
_REPEATED_V1 = re.compile(r"(?:/v1){2,}(?=/|\Z)")
_LONGEST = 200


def canonical(path: str) -> str:
    """`path` without mistakes of base URLs: missing or repeated '/v1', extra slashes."""
    if _USUAL.fullmatch(path):
        return path
    if _WITHOUT_V1.match(path):
        path = f"/v1{path}"
    elif not API.match(path):
        return path
    return _REPEATED_V1.sub("/v1", _SLASHES.sub("/", path)).rstrip("/")


def unknown(path: str) -> NotFound:
    """The error for an unknown path of the API."""
    path = path[:_LONGEST]
    endpoints = _endpoints()
    close = difflib.get_close_matches(path, endpoints, n=1, cutoff=0.75)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    known = ", ".join(one for one in endpoints if one.startswith("/v1/"))
    return NotFound(
        f"There is nothing at '{path}'.{hint} The OpenAI-compatible endpoints are "
        f"{known}; all others are listed at /api/docs.",
        code="unknown_path",
    )


@lru_cache(maxsize=1)
def _endpoints() -> tuple[str, ...]:
    """The routes of the API, as '/v1/models/{name}'."""
    found = (
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)
        for route in _routes(get_resolver("valuecanvas.urls"), "/")
    )
    return tuple(sorted({one for one in found if API.match(one)} - {"/api/{rest}"}))


def _routes(resolver: URLResolver, before: str) -> list[str]:
    found: list[str] = []
    for one in resolver.url_patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLPattern):
            found.append(route.rstrip("/"))
        else:
            found += _routes(one, route)
    return found
